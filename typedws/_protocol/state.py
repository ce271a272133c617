"""The rules of a connection, as tables: each party's own moves, and the joint rule. Nothing is received or sent here.

A connection has two parties: the *client*, as the server reports it, and the *application*. Every row follows the
WebSocket section of the ASGI specification and its Denial Response extension.
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
    """Where one party stands, in the words of the classic API. Only the application is ever in ``RESPONSE``."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    RESPONSE = 3


class Client(Enum):
    """Where the client stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class Application(Enum):
    """Where the application stands. It ends ``CLOSED`` after an accept, ``DENIED`` without one."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RESPONSE = "response"
    CLOSED = "closed"
    DENIED = "denied"


for _party in (Client, Application):
    # By identity, as members are compared: several times as fast as the hash of Enum, which is written in Python.
    type.__setattr__(_party, "__hash__", object.__hash__)


class Move(StrEnum):
    """An ASGI event as a move of one party; a response's last body part is a move of its own."""

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
"""The client's own moves: where it stands and what it does -> where it stands then."""

APPLICATION_MOVES: Final[dict[tuple[Application, Move], Application]] = {
    (Application.CONNECTING, Move.ACCEPT): Application.CONNECTED,
    (Application.CONNECTING, Move.CLOSE): Application.DENIED,
    (Application.CONNECTING, Move.RESPONSE_START): Application.RESPONSE,
    (Application.CONNECTED, Move.SEND): Application.CONNECTED,
    (Application.CONNECTED, Move.CLOSE): Application.CLOSED,
    (Application.RESPONSE, Move.RESPONSE_PART): Application.RESPONSE,
    (Application.RESPONSE, Move.RESPONSE_END): Application.DENIED,
}
"""The application's own moves."""

JOINT_RULE: Final[dict[Move, frozenset[Client | Application]]] = {
    # The application does not speak before the client connects, nor after it disconnects.
    Move.ACCEPT: frozenset({Client.CONNECTED}),
    Move.SEND: frozenset({Client.CONNECTED}),
    Move.CLOSE: frozenset({Client.CONNECTED}),
    Move.RESPONSE_START: frozenset({Client.CONNECTED}),
    Move.RESPONSE_PART: frozenset({Client.CONNECTED}),
    Move.RESPONSE_END: frozenset({Client.CONNECTED}),
    # No message arrives before the accept; after the application's close, some may still be in flight.
    Move.RECEIVE: frozenset({Application.CONNECTED, Application.CLOSED}),
}
"""What a move asks of the *other* party: where it must stand. A move without a row asks nothing."""


def move_of(event: Mapping[str, Any]) -> Move:
    """Tell which move an ASGI event is; raises `InvalidState` for an event type that is none."""
    kind = event["type"]
    move = _MOVES.get(kind)
    if move is None:
        raise InvalidState("an event of the ASGI WebSocket specification", repr(kind))
    return Move.RESPONSE_PART if move is Move.RESPONSE_END and event.get("more_body", False) else move


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


def classic_state(standing: Client | Application) -> WebSocketState:
    """Say where a party stands in the words of the classic API."""
    return _CLASSIC[standing]


class ConnectionState:
    """Where both parties of one connection stand. An illegal move raises `InvalidState` and changes nothing."""

    __slots__ = ("application", "client")

    def __init__(self) -> None:
        self.client: Client = Client.CONNECTING
        self.application: Application = Application.CONNECTING

    @property
    def is_open(self) -> bool:
        """Whether messages may pass both ways."""
        return self.client is Client.CONNECTED and self.application is Application.CONNECTED

    def allows(self, move: Move) -> bool:
        """Whether ``move`` is legal now, for the party whose move it is."""
        if (self.client, move) in CLIENT_MOVES:
            return _permits(move, self.application)
        return (self.application, move) in APPLICATION_MOVES and _permits(move, self.client)

    def client_moves(self, move: Move) -> None:
        """Record what the server reports of the client."""
        moved = CLIENT_MOVES.get((self.client, move))
        if moved is None or not _permits(move, self.application):
            raise self._illegal(move, _MOVES_OF_THE_CLIENT)
        self.client = moved

    def application_moves(self, move: Move) -> None:
        """Record what the application is about to send."""
        self.application = self._moved(move)

    def check_application(self, move: Move) -> None:
        """Refuse what the application must not send now."""
        self._moved(move)

    def _moved(self, move: Move) -> Application:
        moved = APPLICATION_MOVES.get((self.application, move))
        if moved is None or not _permits(move, self.client):
            raise self._illegal(move, _MOVES_OF_THE_APPLICATION)
        return moved

    def _illegal(self, move: Move, moves: tuple[Move, ...]) -> InvalidState:
        legal = " or ".join(each for each in moves if self.allows(each)) or "no further event"
        return InvalidState(legal, move, _HINTS.get((self.client, self.application, move), ""))


def _permits(move: Move, other: Client | Application) -> bool:
    return move not in JOINT_RULE or other in JOINT_RULE[move]


_MOVES_OF_THE_CLIENT: Final = tuple(dict.fromkeys(move for _, move in CLIENT_MOVES))
_MOVES_OF_THE_APPLICATION: Final = tuple(dict.fromkeys(move for _, move in APPLICATION_MOVES))
_HINTS: Final[dict[tuple[Client, Application, Move], str]] = {
    (Client.CONNECTED, Application.CONNECTING, Move.SEND): "call accept() first",
    (Client.CONNECTING, Application.CONNECTING, Move.SEND): "call accept() first",
    (Client.CONNECTED, Application.CONNECTED, Move.ACCEPT): "it is accepted already",
    (Client.CONNECTED, Application.CONNECTED, Move.RESPONSE_START): "deny before accept()",
}
