"""The table of stories: what a client does with an endpoint, the outcome, and where a framework differs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from importlib.metadata import version
from typing import Any, Final
from unittest.mock import ANY

from litestar.exceptions import MethodNotAllowedException, NotFoundException

from tests.unit.integrations.handlers import (
    CrashError,
    Said,
    Say,
    Stop,
    Talk,
    Unwelcome,
    close_late,
    decide_never,
    decide_nothing,
    deny,
    echo,
    echo_bytes,
    feed,
    go_on,
    listen,
    send_colour,
    send_on,
    send_parameters,
    send_undeclared,
    talk,
)
from typedws import Closed, Contract, Denied, HTTPException, InvalidMessage, Policy
from typedws.testing import ServerBehaviour, TestConnection


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a connection or request."""

    status: int = 101
    """The status of the response: 101 accepts."""
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Some header fields of the response."""
    subprotocol: str | None = None
    problem: Mapping[str, object] = field(default_factory=dict[str, object])
    """Some members of the problem document that denies."""
    body: bytes | None = None
    """The body of the response that denies; ``None`` if it is not compared."""
    receives: Sequence[object] = field(default_factory=list[object])
    """The messages that the client receives: bytes, or what a JSON text stands for."""
    closed: tuple[int, str] | None = None
    """The close code and the reason that the client receives."""
    notes: Sequence[object] = field(default_factory=list[object])
    """What the handler notes."""
    reported: Sequence[type[BaseException]] = field(default_factory=list[type[BaseException]])
    """The exceptions that reach the framework's error reporting, or the log if it has none."""
    unreported: Sequence[type[BaseException]] = field(default_factory=list[type[BaseException]])
    """The exceptions of a handler that reach an exception handler only, whose answer cannot be sent."""
    raised: Sequence[type[BaseException]] = field(default_factory=list[type[BaseException]])
    """The exceptions that the application raises to the server, besides the reported ones."""


def denied(status: int, **members: Any) -> Outcome:
    return Outcome(status=status, **members)


def closed(code: int = 1000, reason: str = "", **members: Any) -> Outcome:
    return Outcome(closed=(code, reason), **members)


def left(*notes: object, **members: Any) -> Outcome:
    return Outcome(notes=[*notes], **members)


@dataclass(frozen=True)
class Differs:
    """The outcome in one framework, and the reason in one sentence."""

    because: str
    outcome: Outcome


STRICT: Final = ServerBehaviour()


@dataclass(frozen=True)
class Story:
    """One row: what a client does with an endpoint, and the outcome."""

    handler: Callable[[Any], Awaitable[Any]]
    outcome: Outcome
    _: KW_ONLY
    contract: Contract[Any, Any, Any] | None = None
    policy: Policy | None = None
    handled: type[Exception] | int | None = None
    """What the application has an exception handler for; ``HTTPException`` stands for the framework's own class."""
    is_http: bool = False
    """Whether the client makes a plain HTTP request."""
    path: str | None = None
    """A path below `Mount.root`, in place of the endpoint's."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    subprotocols: Sequence[str] = ()
    root_path: str = ""
    is_second: bool = False
    """Whether another client is connected meanwhile."""
    sends: Sequence[str | bytes] = ()
    fault: Callable[[TestConnection[Any, Any]], None] | None = None
    """What happens to the connection when it is open; in process only."""
    server: ServerBehaviour = STRICT
    """How the server behaves; in process only."""
    leaves: tuple[int, str] | None = None
    """The close code and the reason with which the client leaves, once it has received all messages of the outcome."""
    is_native: bool = False
    """Whether the handler decides everything: then a mount without an endpoint plays the story too."""
    differs: Mapping[str, Differs | None] = field(default_factory=dict[str, Differs | None])
    """The differences, by the name of a framework or of its mount. ``None``: this mount does not differ."""

    @property
    def is_in_process(self) -> bool:
        """Whether no real server can play the story."""
        return self.fault is not None or self.server != STRICT

    def as_in(self, framework: str, mount: str) -> "Story":
        """Return the story with its outcome in a framework."""
        difference = self.differs.get(f"{framework}, {mount}", self.differs.get(framework))
        return self if difference is None else replace(self, outcome=difference.outcome)


def say(*texts: str) -> list[str]:
    return [Say(text=text).model_dump_json() for text in texts]


def said(*texts: str, by: str = "lobby") -> list[object]:
    return [Said(text=text, by=by).model_dump() for text in texts]


def without_exception_handlers(outcome: Outcome, **others: Differs) -> Mapping[str, Differs | None]:
    return {
        "typedws": Differs("An App has no exception handlers.", outcome),
        "Litestar": Differs("Litestar calls its exception handlers for HTTP only.", outcome),
        "Quart, an App beside it": Differs("Quart does not run an application beside it.", outcome),
        "Django": Differs("Django and channels have no exception handlers for WebSockets.", outcome),
        **others,
    }


CHAT: Final = Contract("chat", Talk, modes=("text", "binary"))
QUARTS_OWN_CLASS: Final = "Quart, a view on Quart's own connection class"
QUART: Final = tuple(map(int, version("quart").split(".")[:2]))
"""The version of Quart: 0.23, which needs Python 3.13, runs a connection in a task group."""
SURVIVING_TASKS: Final = Differs("Quart's tasks survive a cancelled call, until the event loop ends.", closed(1006))
NO_CLOSE_CODE: Final = "Quart's own connection class drops the close code and reason."

# --- the table ---

STORIES: Final[Mapping[str, Story]] = {
    # an exchange of messages
    "a conversation goes on until the handler closes": Story(
        talk,
        closed(4002, "over", headers={"x-room": "lobby"}, receives=said("hello", "bye")),
        sends=say("hello", "bye"),
        is_native=True,
    ),
    "a handler that returns without a close closes with 1000": Story(
        echo, closed(receives=said("hello", "bye")), sends=say("hello", "bye")
    ),
    "parameters come from the path, the query and the headers": Story(
        send_parameters, closed(receives=said("lobby 10 acme")), query="?limit=10", headers={"X-Tenant": "acme"}
    ),
    "the subprotocol selects the mode": Story(
        echo,
        closed(subprotocol="chat.v1.binary", receives=[b'{"type":"said","text":"bye","by":"lobby"}']),
        contract=CHAT,
        subprotocols=["chat.v1.binary"],
        sends=[b'{"text":"bye"}'],
    ),
    "an empty message is a message": Story(
        echo_bytes,
        closed(receives=[b"!", b"a!", b"!"]),
        sends=[b"", b"a", b""],
        differs={
            QUARTS_OWN_CLASS: Differs(
                "Quart treats an empty binary message as missing, and fails.",
                closed(1006, raised=[KeyError]),
            )
        },
    ),
    "a handler finds the framework's application and what its lifespan started": Story(
        send_colour,
        closed(receives=said("red", by=""), notes=[True]),
        differs={
            "Quart, an App beside it": Differs(
                "Quart does not run an application beside it.", closed(1011, reported=[AttributeError])
            ),
            "Django": Differs("Channels has no lifespan.", closed(1011, reported=[AttributeError])),
            "Django, an App beside it": None,
        },
    ),
    "a root path that is like the path of the endpoint is no part of it": Story(
        talk, closed(4002, "over", receives=said("bye")), root_path="/chat", sends=say("bye")
    ),
    # denials
    "a handler denies": Story(
        deny,
        denied(
            401,
            headers={"www-authenticate": "Bearer", "content-type": "application/problem+json"},
            problem={"detail": "token missing"},
            notes=[Denied(401)],
        ),
        is_native=True,
    ),
    "a server that sends no responses for denials denies with 403": Story(
        deny,
        denied(403, body=b"", notes=[Denied(403)]),
        server=ServerBehaviour(no_denial_extension=True),
        differs={
            "Quart": Differs(
                "Quart accepts a response and drops it, so that the handler gets another status.",
                denied(403, body=b"", notes=[Denied(401)]),
            ),
            "Quart, an App beside it": None,
        },
    ),
    "an HTTPException before the accept denies with its status": Story(
        talk,
        denied(401, headers={"www-authenticate": "Bearer"}, problem={"detail": "token missing"}),
        query="?before=http",
    ),
    "an HTTPException of the framework before the accept denies with its status": Story(
        talk, denied(401, problem={"detail": "not to you"}), query="?before=framework-http"
    ),
    "a WebSocketException before the accept denies with 403": Story(talk, denied(403), query="?before=websocket"),
    "an exception before the accept denies with 500 and is reported": Story(
        talk, denied(500, reported=[CrashError]), query="?before=crash"
    ),
    "a handler that decides nothing denies with 403": Story(decide_nothing, denied(403)),
    "a handler that does not decide in time denies with 503": Story(
        decide_never, denied(503), policy=Policy(handshake_timeout=0.01)
    ),
    "invalid parameters deny with 422": Story(
        talk, denied(422, problem={"errors": [{"name": "limit", "problem": "int_parsing"}]}), query="?limit=many"
    ),
    "a foreign origin is denied with 403": Story(talk, denied(403), headers={"Origin": "http://evil.example"}),
    "an unknown subprotocol is denied with 400": Story(echo, denied(400), contract=CHAT, subprotocols=["other"]),
    "a connection too many is denied with 503": Story(
        talk, denied(503, headers={"retry-after": "5"}), policy=Policy(max_connections=1), is_second=True
    ),
    "an unknown path is denied with 404": Story(
        talk,
        denied(404),
        path="/nowhere/at/all",
        differs={
            "Starlette": Differs("Starlette closes a connection without a route, which denies with 403.", denied(403)),
            "Starlette, a mounted App": None,
            "FastAPI": Differs("The router is Starlette's, which closes a connection without a route.", denied(403)),
            "Litestar": Differs(
                "Litestar closes a connection without a route, and reports that.",
                denied(403, reported=[NotFoundException]),
            ),
            "Litestar, a mounted App": None,
            "Django, a URLRouter": Differs(
                "A URLRouter without a catch-all route raises.",
                denied(500, raised=[ValueError]),
            ),
        },
    ),
    "a plain HTTP request is answered with 426": Story(
        talk,
        denied(426),
        is_http=True,
        differs={
            "Starlette": Differs("A WebSocketRoute does not match HTTP.", denied(404)),
            "Starlette, a mounted endpoint": None,
            "Starlette, a mounted App": None,
            "FastAPI": Differs("A WebSocket route does not match HTTP.", denied(404)),
            "FastAPI, a mounted endpoint": None,
            "Litestar": Differs(
                "The path has a route, but none for HTTP.", denied(405, reported=[MethodNotAllowedException])
            ),
            "Litestar, a mounted App": None,
            "Quart": Differs("Quart answers HTTP on the path of a websocket view with 400.", denied(400)),
            "Quart, an App beside it": Differs("Quart answers HTTP, and does not have this path.", denied(404)),
            "Django": Differs("Django answers HTTP, and does not have this path.", denied(404)),
            "Django, a URLRouter": None,
        },
    ),
    # closes
    "an HTTPException after the accept closes with 1008": Story(
        talk, closed(1008, "token missing"), query="?after=http"
    ),
    "an HTTPException of the framework after the accept closes with 1008": Story(
        talk, closed(1008, "not to you"), query="?after=framework-http"
    ),
    "a WebSocketException after the accept closes with its code": Story(
        talk, closed(4001, "bye"), query="?after=websocket"
    ),
    "a WebSocketException of the framework after the accept closes with its code": Story(
        talk, closed(4001, "ours"), query="?after=framework-websocket"
    ),
    "a group of exceptions closes as the most severe of them": Story(
        talk, closed(1008, "nothing here"), query="?after=group"
    ),
    "a disconnect that a handler raises closes with 1000": Story(talk, closed(), query="?after=disconnect"),
    "an exception after the accept closes with 1011 and is reported": Story(
        talk, closed(1011, reported=[CrashError]), query="?after=crash"
    ),
    "an exception that is no Exception passes through": Story(talk, closed(1006, raised=[Stop]), query="?after=stop"),
    "a shutdown that cancels the handler closes with 1012": Story(
        echo,
        closed(1012, ANY),
        fault=TestConnection.shut_down_server,
        server=ServerBehaviour(cancelled_at_shutdown=True),
        differs={
            QUARTS_OWN_CLASS: Differs(
                "Quart's own connection class does not show whether the client left.", closed(1006)
            ),
            **({"Quart": SURVIVING_TASKS, "Quart, an App beside it": None} if QUART < (0, 23) else {}),
        },
    ),
    "a client that does not read in time is closed with 1008": Story(
        echo, closed(1008, ANY), policy=Policy(send_timeout=0.01), sends=say("hello"), fault=TestConnection.stop_reading
    ),
    "an invalid message closes with 1007": Story(talk, closed(1007, ANY), sends=["{bad"]),
    "an invalid message is dropped if the policy says so": Story(
        echo, closed(receives=said("bye")), policy=Policy(on_invalid="drop"), sends=["{bad", *say("bye")]
    ),
    "an invalid message is answered if the policy says so": Story(
        echo,
        closed(receives=[{"type": "error", "problem": "malformed", "detail": ANY, "errors": ANY}, *said("bye")]),
        policy=Policy(on_invalid="reply"),
        sends=["{bad", *say("bye")],
    ),
    "a handler that catches invalid messages goes on": Story(
        go_on,
        closed(
            4001,
            "bye",
            receives=[{"problem": "malformed"}, {"problem": "wrong_frame"}],
            notes=[Closed(4001, "bye", "application")],
        ),
        sends=["{bad", b"\xff", *say("bye")],
        is_native=True,
    ),
    "a message that is too big closes with 1009": Story(
        echo, closed(1009, ANY), policy=Policy(max_message_size=5), sends=say("long")
    ),
    "a client that sends nothing in time is closed with 3008": Story(
        echo, closed(3008, ANY), policy=Policy(idle_timeout=0.01)
    ),
    "a message that the contract does not declare is not sent": Story(send_undeclared, closed(notes=["unsendable"])),
    # clients that leave
    "a handler receives the code and the reason with which its client left": Story(
        listen,
        left("one", (4001, "bye"), Closed(4001, "bye", "peer")),
        sends=say("one"),
        leaves=(4001, "bye"),
        is_native=True,
        differs={QUARTS_OWN_CLASS: Differs(NO_CLOSE_CODE, left("one", (1005, ""), Closed(1005, "", "peer")))},
    ),
    "a handler that receives late receives all that its client sent before it left": Story(
        listen,
        left("one", "two", "three", (4001, "bye"), Closed(4001, "bye", "peer")),
        query="?after=client-left",
        sends=say("one", "two", "three"),
        leaves=(4001, "bye"),
        is_native=True,
        differs={
            QUARTS_OWN_CLASS: Differs(NO_CLOSE_CODE, left("one", "two", "three", (1005, ""), Closed(1005, "", "peer")))
        },
    ),
    "a close of a connection that the client has left is no error": Story(
        close_late, left(Closed(1006, "", "network")), leaves=(1000, ""), is_native=True
    ),
    "a handler that only sends learns that its client left": Story(
        send_on, left("left", receives=said("more", by="")), leaves=(1000, ""), is_native=True
    ),
    "a feed is cancelled when its client leaves": Story(
        feed, left("cancelled", receives=said("first", by="")), leaves=(1000, "")
    ),
    "an exception after the client left is reported and nothing is sent": Story(
        listen,
        left((4001, "bye"), reported=[CrashError]),
        query="?after=crash",
        leaves=(4001, "bye"),
        differs={
            QUARTS_OWN_CLASS: Differs(
                "Quart tries to close after an exception, although the client has left.",
                left((1005, ""), reported=[CrashError], raised=[OSError]),
            )
        },
    ),
    # exception handlers of the application
    "the application's exception handler denies": Story(
        talk,
        denied(418, body=b"handled", notes=["handled"]),
        query="?before=unwelcome",
        handled=Unwelcome,
        differs=without_exception_handlers(denied(500, reported=[Unwelcome])),
    ),
    "the application's exception handler of HTTP exceptions denies": Story(
        talk,
        denied(418, body=b"handled", notes=["handled"]),
        query="?before=framework-http",
        handled=HTTPException,
        differs=without_exception_handlers(denied(401, problem={"detail": "not to you"})),
    ),
    "the application's exception handler of a status denies": Story(
        talk,
        denied(418, body=b"handled", notes=["handled"]),
        query="?before=framework-http",
        handled=401,
        differs=without_exception_handlers(denied(401, problem={"detail": "not to you"})),
    ),
    "the application's exception handler closes": Story(
        talk,
        closed(4003, "handled", notes=["handled"]),
        query="?after=unwelcome",
        handled=Unwelcome,
        differs=without_exception_handlers(
            closed(1011, reported=[Unwelcome]),
            Quart=Differs(
                "Quart calls the error handler, but cannot send its answer after the accept.",
                closed(1011, notes=["handled"], unreported=[Unwelcome]),
            ),
        ),
    ),
    "the application's exception handler of invalid messages closes": Story(
        talk,
        closed(4003, "malformed", notes=["handled"]),
        handled=InvalidMessage,
        sends=["{bad"],
        differs=without_exception_handlers(
            closed(1007, ANY),
            Quart=Differs("The policy closes, since Quart could not send the answer.", closed(1007, ANY)),
        ),
    ),
}
