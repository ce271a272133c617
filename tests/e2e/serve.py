"""Run one server in this process, as its own command would, until a signal ends it.

``python -m tests.e2e.serve NAME SETTINGS`` runs the server of this name. The settings are a JSON object with the fields
of `Settings`.
"""

import json
import logging
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from tests.e2e.stage import open_channel


@dataclass(frozen=True)
class Settings:
    """How to run a server."""

    loop: str
    listener: int
    """The file descriptor of the listening socket. granian does not use it and makes its own."""
    port: int
    grace: float
    """Seconds that open connections have when the server is stopped."""
    options: Mapping[str, Any]
    """Settings of the server itself."""


APP: Final = "tests.e2e.stage:app"


def uvicorn(implementation: str, settings: Settings) -> None:
    import uvicorn

    config = uvicorn.Config(
        APP,
        ws=implementation,
        loop=settings.loop,
        log_config=None,
        # A float works too, although the annotation is int.
        timeout_graceful_shutdown=settings.grace,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        **settings.options,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=settings.listener)])


def hypercorn(settings: Settings) -> None:
    from hypercorn.config import Config
    from hypercorn.run import run

    config = Config.from_mapping(
        application_path=APP,
        bind=[f"fd://{settings.listener}"],
        workers=1,
        worker_class=settings.loop,
        graceful_timeout=settings.grace,
        errorlog=logging.getLogger("hypercorn.error"),
        **settings.options,
    )
    run(config)


def granian(settings: Settings) -> None:
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels
    from granian.server import MPServer

    # granian serves in a process of its own, which opens the listening socket on this port.
    logs = {"loggers": {"_granian": {"propagate": True}}, "handlers": {}}
    MPServer(
        APP,
        port=settings.port,
        interface=Interfaces.ASGI,
        loop=Loops(settings.loop),
        log_level=LogLevels.warning,
        log_dictconfig=logs,
        workers_kill_timeout=max(1, round(settings.grace)),
        **settings.options,
    ).serve()


def daphne(settings: Settings) -> None:
    daphne: Any = import_module("daphne.cli")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.options.items()]
    daphne.CommandLineInterface().run(["--fd", str(settings.listener), "--verbosity", "0", *options, APP])


SERVERS: Final[Mapping[str, Callable[[Settings], None]]] = {
    "uvicorn-sansio": lambda settings: uvicorn("websockets-sansio", settings),
    "uvicorn-wsproto": lambda settings: uvicorn("wsproto", settings),
    "hypercorn-asyncio": hypercorn,
    "hypercorn-trio": hypercorn,
    "granian": granian,
    "daphne": daphne,
}


def main(name: str, settings: str) -> None:
    """Run the named server until a signal ends it."""
    warnings.simplefilter("always", ResourceWarning)
    open_channel()
    SERVERS[name](Settings(**json.loads(settings)))


if __name__ == "__main__":
    main(*sys.argv[1:])
