"""typedws: a typed, pydantic-validated WebSocket messaging layer for ASGI."""

from typedws.closing import CloseCode, truncate_reason
from typedws.codecs import BinaryJSON, Codec, CodecRegistry, TextJSON, registry
from typedws.denial import DenialResponse, ProblemDocument
from typedws.errors import (
    CodecNotInstalled,
    ConcurrentReceive,
    DenialResponseUnsupported,
    InvalidClose,
    InvalidHandshake,
    InvalidInput,
    InvalidMessage,
    InvalidMessageType,
    InvalidParams,
    InvalidState,
    TypedWSError,
    UndeclaredMessageType,
    UnknownMode,
    UnsendableMessage,
    WebSocketDisconnect,
    WebSocketDisconnected,
)
from typedws.outcome import Closed, Denied, Outcome
from typedws.state import WebSocketState
from typedws.websockets import Connection, Handshake, WebSocket, WebSocketClose

__all__ = [
    "BinaryJSON",
    "CloseCode",
    "Closed",
    "Codec",
    "CodecNotInstalled",
    "CodecRegistry",
    "ConcurrentReceive",
    "Connection",
    "DenialResponse",
    "DenialResponseUnsupported",
    "Denied",
    "Handshake",
    "InvalidClose",
    "InvalidHandshake",
    "InvalidInput",
    "InvalidMessage",
    "InvalidMessageType",
    "InvalidParams",
    "InvalidState",
    "Outcome",
    "ProblemDocument",
    "TextJSON",
    "TypedWSError",
    "UndeclaredMessageType",
    "UnknownMode",
    "UnsendableMessage",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
    "registry",
    "truncate_reason",
]
