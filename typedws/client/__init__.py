"""The client's side of a connection: what is the same over a socket and in process. No transport lives here yet."""

from typedws.client.connection import Accepted, ClientConnection
from typedws.client.denied import ConnectionDenied
from typedws.client.sync import Caller, SyncConnection

__all__ = ["Accepted", "Caller", "ClientConnection", "ConnectionDenied", "SyncConnection"]
