"""The client's side of a connection: over a socket with the extra ``client``, and what is the same in process."""

from typedws.client.blocking import ConnectingSync, connect_sync
from typedws.client.connecting import ClientOptions, Compression, Connecting, OnUnknown, connect
from typedws.client.connection import Accepted, ClientConnection, Line
from typedws.client.denied import ConnectionDenied
from typedws.client.reconnection import Change, ClientState, OnChange, Reconnecting, reconnecting
from typedws.client.retrying import Backoff
from typedws.client.sync import Caller, SyncConnection
from typedws.errors import (
    ClientNotInstalled,
    ConnectionFailed,
    ConnectTimeout,
    InvalidResponse,
    ServerUnreachable,
    TLSHandshakeFailed,
)

__all__ = [
    "Accepted",
    "Backoff",
    "Caller",
    "Change",
    "ClientConnection",
    "ClientNotInstalled",
    "ClientOptions",
    "ClientState",
    "Compression",
    "ConnectTimeout",
    "Connecting",
    "ConnectingSync",
    "ConnectionDenied",
    "ConnectionFailed",
    "InvalidResponse",
    "Line",
    "OnChange",
    "OnUnknown",
    "Reconnecting",
    "ServerUnreachable",
    "SyncConnection",
    "TLSHandshakeFailed",
    "connect",
    "connect_sync",
    "reconnecting",
]
