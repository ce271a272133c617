"""typedws: a typed, pydantic-validated WebSocket messaging layer for ASGI."""

from typedws._contract.contract import Contract, ErrorReply, FieldProblem
from typedws._contract.params import FromCookie, FromHeader
from typedws._contract.problem_documents import DenialResponse, ProblemDocument
from typedws._contract.security_schemes import SecurityScheme
from typedws._endpoint.endpoints import ContractDecorator, Endpoint, EndpointDecorator, Handler, endpoint
from typedws._endpoint.handler_signature import HandlerKind
from typedws._endpoint.origins import Origins
from typedws._endpoint.policy import OnInvalid, Policy
from typedws._groups.group import Group, GroupStatistics, Member
from typedws._groups.outbox import Overflow
from typedws._protocol.outcomes import Closed, Denied, Outcome
from typedws._protocol.state import WebSocketState
from typedws.close_codes import ApplicationCloseCode, CloseCode, truncate_reason
from typedws.codecs import BinaryJSON, Codec, CodecRegistry, TextJSON, registry
from typedws.exceptions import (
    CodecNotInstalled,
    ConcurrentReceive,
    DenialResponseUnsupported,
    HTTPException,
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
    WebSocketException,
)
from typedws.routing import App, WebSocketRoute
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
    "HandlerKind",
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
    "OnInvalid",
    "Origins",
    "Outcome",
    "Overflow",
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
