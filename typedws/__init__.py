"""typedws: a typed, pydantic-validated WebSocket messaging layer for ASGI."""

from typedws.closing import ApplicationCloseCode, CloseCode, truncate_reason
from typedws.codecs import BinaryJSON, Codec, CodecRegistry, TextJSON, registry
from typedws.contract import Contract, ErrorReply, FieldProblem
from typedws.denial import DenialResponse, ProblemDocument
from typedws.endpoints import ContractDecorator, Endpoint, EndpointDecorator, Handler, endpoint
from typedws.errors import (
    CodecNotInstalled,
    ConcurrentReceive,
    DenialResponseUnsupported,
    InvalidClose,
    InvalidContract,
    InvalidDeclaration,
    InvalidEndpoint,
    InvalidGroup,
    InvalidHandshake,
    InvalidInput,
    InvalidMessage,
    InvalidMessageType,
    InvalidParams,
    InvalidPath,
    InvalidPolicy,
    InvalidState,
    TypedWSError,
    UndeclaredMessageType,
    UnknownMode,
    UnknownSubprotocol,
    UnsendableMessage,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from typedws.exceptions import HTTPException, WebSocketException
from typedws.group import Group, GroupStatistics, Member
from typedws.outcome import Closed, Denied, Outcome
from typedws.params import FromCookie, FromHeader
from typedws.policy import Policy
from typedws.routing import App, WebSocketRoute
from typedws.security import SecurityScheme
from typedws.state import WebSocketState
from typedws.websockets import Connection, Handshake, WebSocket, WebSocketClose

__all__ = [
    "App",
    "ApplicationCloseCode",
    "BinaryJSON",
    "CloseCode",
    "Closed",
    "Codec",
    "CodecNotInstalled",
    "CodecRegistry",
    "ConcurrentReceive",
    "Connection",
    "Contract",
    "ContractDecorator",
    "DenialResponse",
    "DenialResponseUnsupported",
    "Denied",
    "Endpoint",
    "EndpointDecorator",
    "ErrorReply",
    "FieldProblem",
    "FromCookie",
    "FromHeader",
    "Group",
    "GroupStatistics",
    "HTTPException",
    "Handler",
    "Handshake",
    "InvalidClose",
    "InvalidContract",
    "InvalidDeclaration",
    "InvalidEndpoint",
    "InvalidGroup",
    "InvalidHandshake",
    "InvalidInput",
    "InvalidMessage",
    "InvalidMessageType",
    "InvalidParams",
    "InvalidPath",
    "InvalidPolicy",
    "InvalidState",
    "Member",
    "Outcome",
    "Policy",
    "ProblemDocument",
    "SecurityScheme",
    "TextJSON",
    "TypedWSError",
    "UndeclaredMessageType",
    "UnknownMode",
    "UnknownSubprotocol",
    "UnsendableMessage",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketException",
    "WebSocketRoute",
    "WebSocketState",
    "endpoint",
    "registry",
    "truncate_reason",
]
