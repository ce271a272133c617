"""`typedws._protocol.state` without its tables, which ``tests/property/test_state.py`` compares with a grammar."""

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
def test_every_event_of_the_specification_is_a_move(event: Event, move: Move) -> None:
    assert move_of(event) is move


@pytest.mark.parametrize("kind", ["websocket.nonsense", "http.request", "", "websocket.http.response.body, more_body"])
def test_any_other_event_is_refused(kind: str) -> None:
    with pytest.raises(InvalidState, match="an event of the ASGI WebSocket specification"):
        move_of({"type": kind})


@pytest.mark.parametrize(
    ("state", "classic"),
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
def test_every_state_has_a_classic_state(state: Client | Application, classic: WebSocketState) -> None:
    assert classic_state(state) is classic


@pytest.mark.parametrize(
    ("client", "application", "move", "error"),
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
            "expected websocket.close or websocket.send, found websocket.accept: the connection is accepted already",
        ),
        (
            Client.CONNECTED,
            Application.CLOSED,
            Move.CLOSE,
            "expected no further event, found websocket.close",
        ),
    ],
)
def test_the_error_for_an_illegal_move_lists_the_legal_ones(
    client: Client, application: Application, move: Move, error: str
) -> None:
    state = ConnectionState()
    state.client, state.application = client, application
    with pytest.raises(InvalidState) as caught:
        state.application_moves(move)
    assert str(caught.value) == error


def test_a_connection_is_open_only_while_both_parties_are_connected() -> None:
    state = ConnectionState()
    for client in Client:
        for application in Application:
            state.client, state.application = client, application
            both = (client, application) == (Client.CONNECTED, Application.CONNECTED)
            assert state.is_open is both
