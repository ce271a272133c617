"""`Wire`: a server's bytes in, events out, and the reverse; against the server's side of the same protocol."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as HTTPRequest
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from typedws._http.outgoing_request import OutgoingRequest
from typedws.client import InvalidResponse
from typedws.client.wire import Wire

LIMIT = 1000


class Server:
    """The server's side of the connection: the request and the frames that it received."""

    def __init__(self, wire: Wire, *subprotocols: str, is_compressing: bool = False) -> None:
        self._wire = wire
        self.protocol = ServerProtocol(
            subprotocols=[Subprotocol(each) for each in subprotocols] or None,
            extensions=[ServerPerMessageDeflateFactory()] if is_compressing else None,
        )
        self.frames: list[Frame] = []
        self.request: HTTPRequest
        self.receive()

    def receive(self) -> None:
        """Receive everything that the client has to write."""
        if data := self._wire.take_outgoing():
            self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Frame):
                self.frames.append(event)
            elif isinstance(event, HTTPRequest):
                self.request = event

    def perform(self, action: Callable[[ServerProtocol], object]) -> None:
        """Call an action with the protocol, and feed the bytes that it writes to the client in one piece."""
        action(self.protocol)
        self._wire.feed(b"".join(self.protocol.data_to_send()))

    def accept(self) -> None:
        self.perform(lambda protocol: protocol.send_response(protocol.accept(self.request)))


def opened(*subprotocols: str, is_compressing: bool = False) -> tuple[Wire, Server]:
    wire = Wire(OutgoingRequest.of("ws://h/chat?x=1", {"X-Own": "1"}, subprotocols), LIMIT, is_compressing)
    server = Server(wire, *subprotocols, is_compressing=is_compressing)
    assert wire.accepted() is None
    server.accept()
    assert wire.accepted() is not None
    assert wire.is_open
    return wire, server


def frame(opcode: Opcode, data: bytes, is_final: bool = True) -> bytes:
    return Frame(opcode, data, is_final).serialize(mask=False)


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": data}


def ended(code: int, reason: str = "", closed_by: str | None = None) -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason, "closed_by": closed_by}


def test_the_request_has_the_headers_of_a_client_handshake() -> None:
    wire, server = opened("chat.v2", "chat.v1")
    assert server.request.path == "/chat?x=1"
    fields = dict(wire.request_headers)
    assert fields[b"host"] == b"h"
    assert fields[b"user-agent"] == b"typedws"
    assert fields[b"x-own"] == b"1"
    assert fields[b"sec-websocket-protocol"] == b"chat.v2, chat.v1"
    assert b"sec-websocket-extensions" not in fields
    accepted = wire.accepted()
    assert accepted is not None
    assert accepted.subprotocol == "chat.v2"
    assert accepted.headers["upgrade"] == "websocket"
    assert not wire.is_compressed


def test_headers_of_the_caller_replace_the_default_ones() -> None:
    headers = [("Host", "other"), ("User-Agent", "mine"), ("X-Two", "1"), ("x-two", "2"), ("Cookie", "caf\xe9=1")]
    request = OutgoingRequest.of("wss://ann:pass@h:444/", headers, ())
    sent = Wire(request, LIMIT, is_compressing=True).request_headers
    assert [value for name, value in sent if name in {b"host", b"user-agent"}] == [b"other", b"mine"]
    assert [value for name, value in sent if name == b"x-two"] == [b"1", b"2"]
    assert dict(sent)[b"cookie"] == "caf\xe9=1".encode("latin-1")
    assert dict(sent)[b"authorization"] == b"Basic YW5uOnBhc3M="
    assert dict(sent)[b"sec-websocket-extensions"].startswith(b"permessage-deflate")


@given(
    messages=st.lists(st.text() | st.binary(), max_size=6),
    piece=st.integers(1, 50),
    parts=st.integers(1, 4),
    is_compressing=st.booleans(),
)
def test_messages_pass_both_ways_however_they_are_split(
    messages: list[str | bytes], piece: int, parts: int, is_compressing: bool
) -> None:
    wire, server = opened(is_compressing=is_compressing)
    assert wire.is_compressed == is_compressing
    events = [text(each) if isinstance(each, str) else binary(each) for each in messages]
    for event in events:
        wire.send({**event, "type": "websocket.send"})
    assert wire.message_bytes == sum(len(each.encode() if isinstance(each, str) else each) for each in messages)
    server.receive()
    assert wire.message_bytes == 0
    assert [bytes(each.data) for each in server.frames] == [
        each.encode() if isinstance(each, str) else each for each in messages
    ]
    for each in messages:
        data = each.encode() if isinstance(each, str) else each
        send = server.protocol.send_text if isinstance(each, str) else server.protocol.send_binary
        step = len(data) // parts + 1
        parts_of_data = [data[start : start + step] for start in range(0, len(data), step)] or [b""]
        send(parts_of_data[0], fin=len(parts_of_data) == 1)
        for place, part in enumerate(parts_of_data[1:], 2):
            server.protocol.send_continuation(part, fin=place == len(parts_of_data))
    data_from_server = b"".join(server.protocol.data_to_send())
    for start in range(0, len(data_from_server), piece):
        wire.feed(data_from_server[start : start + piece])
    assert list(wire.events) == events


ENDS: list[tuple[str, list[bytes], list[dict[str, Any]], int | None]] = [
    # The bytes that the server writes (b"": its end), the resulting events, and the close code that it receives.
    ("close", [frame(Opcode.CLOSE, b"\x0f\xa1bye")], [ended(4001, "bye")], 4001),
    (
        "close between the fragments of a message",
        [frame(Opcode.TEXT, b"a", is_final=False) + frame(Opcode.CLOSE, b"\x0f\xa1bye")],
        [ended(4001, "bye")],
        4001,
    ),
    ("close without a code", [frame(Opcode.CLOSE, b"")], [ended(1005)], None),
    ("end", [b""], [ended(1006, "", "network")], None),
    ("message, then end", [frame(Opcode.TEXT, b"a"), b""], [text("a"), ended(1006, "", "network")], None),
    ("half a frame", [frame(Opcode.TEXT, b"abc")[:3], b""], [ended(1006, "", "network")], None),
    (
        "message and close at once, then the end",
        [frame(Opcode.TEXT, b"a") + frame(Opcode.CLOSE, b"\x03\xe8"), b""],
        [text("a"), ended(1000)],
        1000,
    ),
    ("invalid UTF-8", [frame(Opcode.TEXT, b"\xff")], [ended(1007, "text that is not UTF-8", "application")], 1007),
    (
        "invalid UTF-8, then more in one piece",
        [frame(Opcode.TEXT, b"\xff") + frame(Opcode.TEXT, b"a")],
        [ended(1007, "text that is not UTF-8", "application")],
        1007,
    ),
    (
        "invalid UTF-8, and a close in one piece",
        [frame(Opcode.TEXT, b"\xff") + frame(Opcode.CLOSE, b"\x03\xe8")],
        [ended(1007, "text that is not UTF-8", "application")],
        1000,
    ),
    (
        "reserved bits",
        [b"\xc1\x00"],
        [ended(1002, "reserved bits must be 0", "application")],
        1002,
    ),
    (
        "too big",
        [frame(Opcode.BINARY, bytes(LIMIT + 1))],
        [ended(1009, "frame with 1001 bytes exceeds limit of 1000 bytes", "application")],
        1009,
    ),
]


@pytest.mark.parametrize(("written", "events", "code"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_the_end_is_one_event_and_the_last(
    written: list[bytes], events: list[dict[str, Any]], code: int | None
) -> None:
    wire, server = opened()
    for data in written:
        wire.feed(data)
    assert list(wire.events) == events
    assert wire.disconnect == events[-1]
    assert not wire.is_open
    with pytest.raises(BrokenPipeError):
        wire.send({"type": "websocket.send", "text": "a"})
    wire.close(1000, "")
    wire.ping(b"")
    wire.mark_lost()
    assert list(wire.events) == events
    server.receive()
    got = server.protocol.close_rcvd
    assert (None if got is None or got.code == 1005 else got.code) == code


def test_after_a_close_messages_are_dropped_and_the_answer_is_an_event() -> None:
    wire, server = opened()
    wire.close(4001, "bye")
    wire.close(4002, "again")
    assert not wire.is_open
    server.perform(lambda protocol: protocol.send_text(b"late"))
    assert list(wire.events) == []
    server.receive()
    assert server.protocol.close_rcvd is not None
    assert (server.protocol.close_rcvd.code, server.protocol.close_rcvd.reason) == (4001, "bye")
    server.perform(lambda _: None)
    assert list(wire.events) == [ended(4001, "bye")]


@pytest.mark.parametrize("written", [b"", b"\xc1\x00"])
def test_a_failure_after_our_close_is_a_lost_connection(written: bytes) -> None:
    wire, _ = opened()
    wire.close(1000, "")
    wire.feed(written)
    assert list(wire.events) == [ended(1006, "", "network")]


def test_an_uncaught_error_of_websockets_is_an_invalid_response(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(protocol: ClientProtocol, headers: object) -> None:
        raise ValueError("Invalid initialization option")

    monkeypatch.setattr(ClientProtocol, "process_extensions", fail)
    with pytest.raises(InvalidResponse):
        opened()


def test_pings_are_answered_and_pongs_recorded() -> None:
    wire, server = opened()
    server.perform(lambda protocol: protocol.send_ping(b"there?"))
    assert wire.control_bytes > 0
    server.receive()
    assert wire.control_bytes == 0
    wire.ping(b"1234")
    server.receive()
    server.perform(lambda _: None)
    assert wire.pong == b"1234"
    assert [(each.opcode, bytes(each.data)) for each in server.frames] == [
        (Opcode.PONG, b"there?"),
        (Opcode.PING, b"1234"),
    ]
    assert list(wire.events) == []
