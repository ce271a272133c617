"""The parts of an adapter of a framework, and the application under test. No framework is imported here."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import anyio

from typedws import App, Endpoint, HTTPException, WebSocketException, WebSocketRoute
from typedws.asgi import ASGIApp, Receive, Scope, Send
from typedws.testing import lifespan

T = TypeVar("T")


@dataclass(frozen=True)
class Mount:
    """One way to serve an endpoint in a framework."""

    build: Callable[["Site"], Any]
    """Makes the application, which serves the endpoint of a site."""
    path: str = "/chat/lobby"
    """Where the endpoint is served, for the room ``lobby``."""
    root: str = ""
    """What comes before the paths that an `App` serves."""
    loops: tuple[str, ...] = ("asyncio", "trio")
    """The event loops on which it runs."""
    is_variant: bool = False
    """Whether only the route to the endpoint differs from another mount: then no real server is needed."""
    has_lifespan: bool = True
    is_native: bool = False
    """Whether it is a route of the framework's own, which calls the handler with a `WebSocket`, without an endpoint."""


@dataclass(frozen=True)
class Framework:
    """An adapter: the ways to mount an endpoint in a framework, and what is the framework's own."""

    mounts: Mapping[str, Mount]
    app_class: type[Any] = App
    http_exception: type[Exception] = HTTPException
    http_error: Callable[[int, str], Exception] = HTTPException
    """Makes such an exception."""
    websocket_error: Callable[[int, str], Exception] = WebSocketException
    """Makes the framework's own exception of a close code and a reason."""
    colour: Callable[[Any], str] = lambda ws: ws.state.colour
    """Returns what the lifespan started, from where users of the framework take it."""
    raises_failures: bool = False
    """Whether the application raises a failure to the server, which is how middleware and the server report it."""


_SITE: Final = "tests.site"
_ENDS: Final = ("websocket.close", "websocket.http.response.start")


@dataclass
class Site:
    """The application of a framework under test, and what a test observes besides its client."""

    framework: Framework
    endpoint: Endpoint[Any, Any, Any]
    handled: type[Exception] | int | None = None
    """The exception, or the status, for which the application has an exception handler."""
    root_path: str = ""
    app: ASGIApp = field(init=False)
    phases: list[str] = field(default_factory=list[str])
    """The phases of the lifespan that ran."""
    notes: list[object] = field(default_factory=list[object])
    """What the endpoint's handler noted."""
    reported: list[BaseException] = field(default_factory=list[BaseException])
    """The exceptions that the framework passed to its hook or signal for errors."""
    raised: list[BaseException] = field(default_factory=list[BaseException])
    """The exceptions that the application raised to the server."""
    ends: list[list[str]] = field(default_factory=list[list[str]])
    """For each connection, the events with which the application ended it."""
    is_accepted: bool = False
    client_left: anyio.Event = field(default_factory=anyio.Event)
    """Set when the client has closed the connection."""
    _state: Mapping[str, Any] = field(default_factory=dict[str, Any])
    _running: int = 0
    _idle: anyio.Event = field(default_factory=anyio.Event)

    @staticmethod
    def of(connection: Any) -> "Site":
        """Return the site that serves a connection."""
        site: Site = connection.scope[_SITE]
        return site

    def note(self, value: T) -> T:
        """Note something, and return it."""
        self.notes.append(value)
        return value

    def typed_app(self, path: str = "/chat/{room}") -> App:
        """Return an `App` that serves the endpoint."""
        return App([WebSocketRoute(path, self.endpoint)], lifespan=self.lifespan)

    @asynccontextmanager
    async def started(self) -> AsyncGenerator[None]:
        """Start the application; after the block, wait until all connections have ended, and stop it."""
        async with lifespan(self) as self._state:
            yield
            await self.idle()

    async def idle(self) -> None:
        """Wait until the application runs for no connection."""
        while self._running:
            await self._idle.wait()

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncGenerator[dict[str, str]]:
        """Record the phases of the lifespan, and yield its state."""
        self.phases.append("startup")
        yield {"colour": "red"}
        self.phases.append("shutdown")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        self.ends.append(ends := [])

        async def recording_send(event: Any) -> None:
            self.is_accepted = self.is_accepted or event["type"] == "websocket.accept"
            if event["type"] in _ENDS:
                ends.append(event["type"])
            await send(event)

        path: str = self.root_path + scope["path"]
        self._running += 1
        try:
            inner = {**scope, _SITE: self, "root_path": self.root_path, "path": path, "state": {**self._state}}
            await self.app(inner, receive, recording_send)
        except BaseException as error:
            if not isinstance(error, anyio.get_cancelled_exc_class()):
                self.raised.append(error)
            raise
        finally:
            self._running -= 1
            self._idle.set()
            self._idle = anyio.Event()


def beside(other: Any, app: App, kinds: Sequence[str] = ("http",)) -> ASGIApp:
    """Return an application that passes scopes of some kinds to another application, and the rest to an `App`."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        await (other if scope["type"] in kinds else app)(scope, receive, send)

    return dispatch
