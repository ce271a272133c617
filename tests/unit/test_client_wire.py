"""The client's side of RFC 6455, as bytes in and events out."""

from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

from typedws.client.request import Request
from typedws.client.wire import Wire


def opened() -> tuple[Wire, ServerProtocol]:
    """Give both ends, shaken hands."""
    wire, server = Wire(Request.of("ws://localhost/", None, ()), None, is_compressing=False), ServerProtocol()
    server.receive_data(wire.take_outgoing())
    (handshake,) = server.events_received()
    assert isinstance(handshake, Handshake)
    server.send_response(server.accept(handshake))
    wire.feed(b"".join(server.data_to_send()))
    assert wire.accepted() is not None
    return wire, server


def test_a_close_between_the_fragments_of_a_message_is_answered_as_any_close() -> None:
    wire, server = opened()
    server.send_text(b"first", fin=False)
    first = b"".join(server.data_to_send())
    wire.feed(first + Frame(Opcode.CLOSE, Close(1000, "bye").serialize()).serialize(mask=False))
    assert list(wire.events) == [{"type": "websocket.disconnect", "code": 1000, "reason": "bye", "closed_by": None}]
    server.receive_data(wire.take_outgoing())
    assert server.close_rcvd == Close(1000, "bye")
