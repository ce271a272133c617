"""Run one application on one server, in a process of its own, and print the port.

``python -m bench.serving``. Its argument is a `Serving`, as JSON. Nothing is compressed, only problems are logged, and
no server sends pings. A reader of the port may connect at once: the socket listens, or will in a moment (granian's).

Two applications are not contestants but limits: ``echo`` sends messages back unread, and ``picows`` is not an ASGI
application but uses that server's own interface.
"""

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from bench.contestants import Application, Size, Task, contestants
from bench.processes import allow_many_files, end_with_parent, pin

__all__ = ["ServerName", "Serving"]

ServerName: TypeAlias = Literal["uvicorn", "hypercorn", "granian", "picows"]

BACKLOG: Final = 4096
ORDER: Final = "BENCH_SERVING"
"""The environment variable that tells granian's worker process what to serve."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What to serve, on which server, and on which core."""

    server: ServerName
    library: str
    contestant: str
    size: Size
    core: int | None

    def application(self) -> tuple[Application, bool]:
        """Make the application, and return it with whether it has a lifespan."""
        if self.contestant == "echo":
            from bench.floor import nothing

            return nothing, False
        contestant = contestants([self.library])[self.contestant]
        return contestant.make(Task(size=self.size)), contestant.has_lifespan


def uvicorn(serving: Serving) -> None:
    import uvicorn

    application, has_lifespan = serving.application()
    config = uvicorn.Config(
        application,
        loop="uvloop",
        ws="websockets-sansio",
        interface="asgi3",
        lifespan="on" if has_lifespan else "off",
        log_level="warning",
        access_log=False,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        backlog=BACKLOG,
    )
    listening = listener()
    pin(serving.core)
    print_port(listening)
    uvicorn.Server(config).run(sockets=[listening])


def hypercorn(serving: Serving) -> None:
    import hypercorn.asyncio
    import uvloop
    from hypercorn.config import Config

    application = without_lifespan(serving.application()[0])
    listening = listener()
    config = Config.from_mapping(bind=[f"fd://{listening.fileno()}"], backlog=BACKLOG, loglevel="WARNING")
    worker: Any = hypercorn.asyncio
    pin(serving.core)
    print_port(listening)
    uvloop.run(worker.serve(application, config, mode="asgi"))


def without_lifespan(application: Application) -> Application:
    """Keep the lifespan scope, which hypercorn always sends, from an application that does not handle it."""

    async def none() -> None: ...

    def dispatch(scope: Any, receive: Any, send: Any) -> Any:
        return none() if scope["type"] == "lifespan" else application(scope, receive, send)

    return dispatch


def granian(serving: Serving) -> None:
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels
    from granian.server import MPServer

    # granian starts a worker process, which binds the port again.
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", 0))
    os.environ[ORDER] = json.dumps(asdict(serving))
    server = MPServer(
        f"{__spec__.name}:granians_application",
        port=bound.getsockname()[1],
        interface=Interfaces.ASGINL,
        loop=Loops.uvloop,
        log_level=LogLevels.warning,
        backlog=BACKLOG,
        factory=True,
    )
    pin(serving.core)
    print_port(bound)
    server.serve()


def granians_application() -> Application:
    return Serving(**json.loads(os.environ[ORDER])).application()[0]


def picows(serving: Serving) -> None:
    import picows
    import uvloop

    from bench.echoing import Echo
    from bench.messages import ADAPTERS

    validate: Callable[[bytes], Any] = ADAPTERS[serving.size].validator.validate_json

    class Validating(Echo):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type is picows.WSMsgType.TEXT:
                message = validate(frame.get_payload_as_bytes())
                transport.send(frame.msg_type, message.__pydantic_serializer__.to_json(message))
            else:
                super().on_ws_frame(transport, frame)

    listening = listener()
    listen = Echo if serving.contestant == "echo" else Validating

    async def serve() -> None:
        server = await picows.ws_create_server(lambda _: listen(), sock=listening, backlog=BACKLOG)
        print_port(listening)
        await server.serve_forever()

    pin(serving.core)
    uvloop.run(serve())


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)


def print_port(listening: socket.socket) -> None:
    print(listening.getsockname()[1], flush=True)


SERVERS: Final[Mapping[ServerName, Callable[[Serving], None]]] = {
    "uvicorn": uvicorn,
    "hypercorn": hypercorn,
    "granian": granian,
    "picows": picows,
}


def main() -> None:
    serving = Serving(**json.loads(sys.argv[1]))
    end_with_parent()
    allow_many_files()
    SERVERS[serving.server](serving)


if __name__ == "__main__":
    main()
