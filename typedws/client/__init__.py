"""The client: typed connections to a server over a socket. Connecting needs the extra ``client``."""

from typedws._connection.client_connection import Accepted, ClientConnection, Line
from typedws._connection.connection_denied import ConnectionDenied
from typedws._connection.sync_connection import Caller, SyncConnection
from typedws.client.backoff import Backoff
from typedws.client.connecting import ClientOptions, Compression, Connecting, OnUnknown, connect
from typedws.client.reconnection import Change, ClientState, OnChange, Reconnecting, reconnecting
from typedws.client.sync import SyncConnecting, connect_sync
from typedws.exceptions import (
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
    "ConnectionDenied",
    "ConnectionFailed",
    "InvalidResponse",
    "Line",
    "OnChange",
    "OnUnknown",
    "Reconnecting",
    "ServerUnreachable",
    "SyncConnecting",
    "SyncConnection",
    "TLSHandshakeFailed",
    "connect",
    "connect_sync",
    "reconnecting",
]
