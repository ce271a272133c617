"""`ClientConnection` over any transport: it sends client messages and receives server messages."""

import pytest

from tests.support import disconnect, scope, text, wire
from tests.unit.testing.chat import Said, Say, chat
from typedws import WebSocketDisconnect
from typedws._http.headers import Headers
from typedws._protocol.outcomes import Closed
from typedws.client import Accepted, ClientConnection

pytestmark = pytest.mark.anyio


async def test_a_client_sends_and_receives_messages_until_the_connection_ends() -> None:
    receive, send, sent = wire(text('{"type":"said","text":"hello","by":"ann"}'), disconnect(4001, "bye"))
    accepted = Accepted(None, Headers())
    ws = ClientConnection[Said, Say](scope(), receive, send, accepted, chat)
    await ws.send_model(Say(text="hello"))
    assert sent == [{"type": "websocket.send", "text": '{"type":"say","text":"hello"}'}]
    assert await ws.receive_model() == Said(text="hello", by="ann")
    assert ws.end is None
    with pytest.raises(WebSocketDisconnect):
        await ws.receive_model()
    assert ws.end == Closed(4001, "bye", "peer")
