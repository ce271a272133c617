"""The protocol rules of a connection, as tables: the moves of each party, and the joint rule. No I/O.

A connection has two parties: the *client*, as the server reports it, and the *application*. Each has a state of its
own, and each ASGI event is a *move* of one of them. A move is legal if both of these hold:

1. The party's own table, ``CLIENT_MOVES`` or ``APPLICATION_MOVES``, has a row for its state and this move. The row is
   the party's next state.
2. The other party is in a state that ``JOINT_RULE`` lists for this move. A move that is not in ``JOINT_RULE`` is legal
   in every state of the other party.

Every row follows the WebSocket section of the ASGI specification and its Denial Response extension.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Final

from typedws.exceptions import InvalidState

__all__ = [
    "APPLICATION_MOVES",
    "CLIENT_MOVES",
    "JOINT_RULE",
    "Application",
    "Client",
    "ConnectionState",
    "Move",
    "WebSocketState",
    "classic_state",
    "move_of",
]


class WebSocketState(Enum):
    """The state of one party, as in the classic API. Only the application is ever in ``RESPONSE``."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    RESPONSE = 3


class Client(Enum):
    """The state of the client, as the server reports it."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class Application(Enum):
    """The state of the application. It ends as ``CLOSED`` after an accept, as ``DENIED`` without one."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RESPONSE = "response"
    CLOSED = "closed"
    DENIED = "denied"


for _party in (Client, Application):
    # Members are compared by identity, so they are hashed by it too: the hash of Enum, which is written in Python, is
    # several times as slow in every look-up. Type checkers refuse a plain assignment to a method.
    type.__setattr__(_party, "__hash__", object.__hash__)


class Move(StrEnum):
    """An ASGI event as a move of one party. The last part of a response's body is a move of its own."""

    CONNECT = "websocket.connect"
    RECEIVE = "websocket.receive"
    DISCONNECT = "websocket.disconnect"
    ACCEPT = "websocket.accept"
    SEND = "websocket.send"
    CLOSE = "websocket.close"
    RESPONSE_START = "websocket.http.response.start"
    RESPONSE_PART = "websocket.http.response.body, more_body=True"
    RESPONSE_END = "websocket.http.response.body"


CLIENT_MOVES: Final[dict[tuple[Client, Move], Client]] = {
    (Client.CONNECTING, Move.CONNECT): Client.CONNECTED,
    (Client.CONNECTED, Move.RECEIVE): Client.CONNECTED,
    (Client.CONNECTED, Move.DISCONNECT): Client.DISCONNECTED,
}
"""The client's moves: its state and the move -> its next state."""

APPLICATION_MOVES: Final[dict[tuple[Application, Move], Application]] = {
    (Application.CONNECTING, Move.ACCEPT): Application.CONNECTED,
    (Application.CONNECTING, Move.CLOSE): Application.DENIED,
    (Application.CONNECTING, Move.RESPONSE_START): Application.RESPONSE,
    (Application.CONNECTED, Move.SEND): Application.CONNECTED,
    (Application.CONNECTED, Move.CLOSE): Application.CLOSED,
    (Application.RESPONSE, Move.RESPONSE_PART): Application.RESPONSE,
    (Application.RESPONSE, Move.RESPONSE_END): Application.DENIED,
}
"""The application's moves: its state and the move -> its next state."""

JOINT_RULE: Final[dict[Move, frozenset[Client | Application]]] = {
    # The application sends nothing before the client connects, and nothing after it disconnects.
    Move.ACCEPT: frozenset({Client.CONNECTED}),
    Move.SEND: frozenset({Client.CONNECTED}),
    Move.CLOSE: frozenset({Client.CONNECTED}),
    Move.RESPONSE_START: frozenset({Client.CONNECTED}),
    Move.RESPONSE_PART: frozenset({Client.CONNECTED}),
    Move.RESPONSE_END: frozenset({Client.CONNECTED}),
    # No message arrives before the accept. After the application's close, messages in flight may still arrive.
    Move.RECEIVE: frozenset({Application.CONNECTED, Application.CLOSED}),
}
"""The states of the *other* party in which a move is legal. A move without a row is legal in all of them."""


def move_of(event: Mapping[str, Any]) -> Move:
    """Return the move that an ASGI event is.

    :raises InvalidState: if the ASGI WebSocket specification has no such event
    """
    kind = event["type"]
    move = _MOVES.get(kind)
    if move is None:
        raise InvalidState("an event of the ASGI WebSocket specification", repr(kind))
    return Move.RESPONSE_PART if move is Move.RESPONSE_END and event.get("more_body", False) else move


# RESPONSE_PART is not a type of events: `more_body` distinguishes it from RESPONSE_END.
_MOVES: Final[dict[str, Move]] = {str(move): move for move in Move if move is not Move.RESPONSE_PART}


_CLASSIC: Final[dict[Client | Application, WebSocketState]] = {
    Client.CONNECTING: WebSocketState.CONNECTING,
    Client.CONNECTED: WebSocketState.CONNECTED,
    Client.DISCONNECTED: WebSocketState.DISCONNECTED,
    Application.CONNECTING: WebSocketState.CONNECTING,
    Application.CONNECTED: WebSocketState.CONNECTED,
    Application.RESPONSE: WebSocketState.RESPONSE,
    Application.CLOSED: WebSocketState.DISCONNECTED,
    Application.DENIED: WebSocketState.DISCONNECTED,
}


def classic_state(state: Client | Application) -> WebSocketState:
    """Return the state of a party as the classic API names it."""
    return _CLASSIC[state]


class ConnectionState:
    """The states of both parties of one connection. An illegal move raises `InvalidState` and changes nothing."""

    __slots__ = ("application", "client")

    def __init__(self) -> None:
        self.client: Client = Client.CONNECTING
        self.application: Application = Application.CONNECTING

    @property
    def is_open(self) -> bool:
        """Whether messages may pass in both directions."""
        return self.client is Client.CONNECTED and self.application is Application.CONNECTED

    def allows(self, move: Move) -> bool:
        """Whether ``move`` is legal now for the party that makes it."""
        if (self.client, move) in CLIENT_MOVES:
            return _is_permitted(move, self.application)
        return (self.application, move) in APPLICATION_MOVES and _is_permitted(move, self.client)

    def client_moves(self, move: Move) -> None:
        """Record a move of the client, as the server reports it. Raises `InvalidState` if it is illegal."""
        next_state = CLIENT_MOVES.get((self.client, move))
        if next_state is None or not _is_permitted(move, self.application):
            raise self._illegal_move(move, _EVERY_CLIENT_MOVE)
        self.client = next_state

    def application_moves(self, move: Move) -> None:
        """Record a move that the application is about to make. Raises `InvalidState` if it is illegal."""
        self.application = self._next_application_state(move)

    def check_application(self, move: Move) -> None:
        """Raise `InvalidState` if the application must not make this move now."""
        self._next_application_state(move)

    def _next_application_state(self, move: Move) -> Application:
        next_state = APPLICATION_MOVES.get((self.application, move))
        if next_state is None or not _is_permitted(move, self.client):
            raise self._illegal_move(move, _EVERY_APPLICATION_MOVE)
        return next_state

    def _illegal_move(self, move: Move, moves: tuple[Move, ...]) -> InvalidState:
        legal = " or ".join(each for each in moves if self.allows(each)) or "no further event"
        return InvalidState(legal, move, _HINTS.get((self.client, self.application, move), ""))


def _is_permitted(move: Move, other: Client | Application) -> bool:
    return move not in JOINT_RULE or other in JOINT_RULE[move]


# For the error of an illegal move: every move of a party once, in the order of its table.
_EVERY_CLIENT_MOVE: Final = tuple(dict.fromkeys(move for _, move in CLIENT_MOVES))
_EVERY_APPLICATION_MOVE: Final = tuple(dict.fromkeys(move for _, move in APPLICATION_MOVES))
_HINTS: Final[dict[tuple[Client, Application, Move], str]] = {
    (Client.CONNECTED, Application.CONNECTING, Move.SEND): "call accept() first",
    (Client.CONNECTING, Application.CONNECTING, Move.SEND): "call accept() first",
    (Client.CONNECTED, Application.CONNECTED, Move.ACCEPT): "the connection is accepted already",
    (Client.CONNECTED, Application.CONNECTED, Move.RESPONSE_START): "deny before accept()",
}
