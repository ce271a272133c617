"""Test WebSocket applications in process: clients typed by a contract, and waits that all have a time limit."""

from typedws._connection.connection_denied import ConnectionDenied
from typedws.testing.connecting import ConnectOptions, RequestOptions, TestConnecting, connect
from typedws.testing.connection import TestConnection
from typedws.testing.event_loops import advance_clock, settle
from typedws.testing.failures import ApplicationReturned, ClientGone, ExpectationFailed, LifespanFailed, WaitTimeout
from typedws.testing.fake_server import Violation
from typedws.testing.lifespans import lifespan
from typedws.testing.server_behaviour import ServerBehaviour
from typedws.testing.sync import SyncTestConnecting, SyncTestConnection, TestClient

__all__ = [
    "ApplicationReturned",
    "ClientGone",
    "ConnectOptions",
    "ConnectionDenied",
    "ExpectationFailed",
    "LifespanFailed",
    "RequestOptions",
    "ServerBehaviour",
    "SyncTestConnecting",
    "SyncTestConnection",
    "TestClient",
    "TestConnecting",
    "TestConnection",
    "Violation",
    "WaitTimeout",
    "advance_clock",
    "connect",
    "lifespan",
    "settle",
]
