"""What `typedws._protocol.state` says beside its tables, which ``tests/property/test_state.py`` holds against a grammar."""

import pytest

from tests.support import Event
from typedws._protocol.state import Application, Client, ConnectionState, Move, WebSocketState, classic_state, move_of
from typedws.exceptions import InvalidState


@pytest.mark.parametrize(
    ("event", "move"),
    [
        *(({"type": move.value}, move) for move in Move if move is not Move.RESPONSE_PART),
        ({"type": "websocket.http.response.body", "more_body": False}, Move.RESPONSE_END),
        ({"type": "websocket.http.response.body", "more_body": True}, Move.RESPONSE_PART),
    ],
)
def test_an_event_is_a_move(event: Event, move: Move) -> None:
    assert move_of(event) is move


@pytest.mark.parametrize("kind", ["websocket.nonsense", "http.request", "", "websocket.http.response.body, more_body"])
def test_any_other_event_is_none(kind: str) -> None:
    with pytest.raises(InvalidState, match="an event of the ASGI WebSocket specification"):
        move_of({"type": kind})


@pytest.mark.parametrize(
    ("standing", "word"),
    [
        (Client.CONNECTING, WebSocketState.CONNECTING),
        (Client.CONNECTED, WebSocketState.CONNECTED),
        (Client.DISCONNECTED, WebSocketState.DISCONNECTED),
        (Application.CONNECTING, WebSocketState.CONNECTING),
        (Application.CONNECTED, WebSocketState.CONNECTED),
        (Application.RESPONSE, WebSocketState.RESPONSE),
        (Application.CLOSED, WebSocketState.DISCONNECTED),
        (Application.DENIED, WebSocketState.DISCONNECTED),
    ],
)
def test_a_standing_has_a_classic_state_word(standing: Client | Application, word: WebSocketState) -> None:
    assert classic_state(standing) is word


@pytest.mark.parametrize(
    ("client", "application", "move", "sentence"),
    [
        (
            Client.CONNECTED,
            Application.CONNECTING,
            Move.SEND,
            "expected websocket.accept or websocket.close or websocket.http.response.start, found websocket.send: "
            "call accept() first",
        ),
        (
            Client.CONNECTED,
            Application.CONNECTED,
            Move.ACCEPT,
            "expected websocket.close or websocket.send, found websocket.accept: it is accepted already",
        ),
        (
            Client.CONNECTED,
            Application.CLOSED,
            Move.CLOSE,
            "expected no further event, found websocket.close",
        ),
    ],
)
def test_an_illegal_move_says_what_would_be_legal(
    client: Client, application: Application, move: Move, sentence: str
) -> None:
    state = ConnectionState()
    state.client, state.application = client, application
    with pytest.raises(InvalidState) as caught:
        state.application_moves(move)
    assert str(caught.value) == sentence


def test_messages_pass_only_while_both_are_connected() -> None:
    state = ConnectionState()
    for client in Client:
        for application in Application:
            state.client, state.application = client, application
            both = (client, application) == (Client.CONNECTED, Application.CONNECTED)
            assert state.is_open is both
