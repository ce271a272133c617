"""Testing WebSocket applications in process, typed by their contracts, and without a wait that could hang."""

from typedws.client import ConnectionDenied
from typedws.testing.behaviour import ServerBehaviour
from typedws.testing.connecting import Connecting, ConnectOptions, RequestOptions, connect
from typedws.testing.connection import TestConnection
from typedws.testing.failures import ApplicationReturned, ClientGone, ExpectationFailed, LifespanFailed, WaitTimeout
from typedws.testing.lifespans import lifespan
from typedws.testing.loops import advance_clock, settle
from typedws.testing.sync import SyncConnecting, SyncTestConnection, TestClient
from typedws.testing.wire import Violation

__all__ = [
    "ApplicationReturned",
    "ClientGone",
    "ConnectOptions",
    "Connecting",
    "ConnectionDenied",
    "ExpectationFailed",
    "LifespanFailed",
    "RequestOptions",
    "ServerBehaviour",
    "SyncConnecting",
    "SyncTestConnection",
    "TestClient",
    "TestConnection",
    "Violation",
    "WaitTimeout",
    "advance_clock",
    "connect",
    "lifespan",
    "settle",
]
