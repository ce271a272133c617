"""Run one server in this process, as its own command would, until a signal ends it. ``python -m tests.e2e.serve``

The arguments are the server's name, its event loop, and a JSON object: the listening socket's number and port, and how
long open connections have when the server is stopped.
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
class Order:
    """What to run."""

    loop: str
    listener: int
    port: int
    grace: float
    options: Mapping[str, Any]


APP: Final = "tests.e2e.stage:app"


def uvicorn(implementation: str, order: Order) -> None:
    import uvicorn

    config = uvicorn.Config(
        APP,
        ws=implementation,
        loop=order.loop,
        log_config=None,
        timeout_graceful_shutdown=order.grace,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - any number
        **order.options,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=order.listener)])


def hypercorn(order: Order) -> None:
    from hypercorn.config import Config
    from hypercorn.run import run

    config = Config.from_mapping(
        application_path=APP,
        bind=[f"fd://{order.listener}"],
        workers=1,
        worker_class=order.loop,
        graceful_timeout=order.grace,
        errorlog=logging.getLogger("hypercorn.error"),
        **order.options,
    )
    run(config)


def granian(order: Order) -> None:
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels
    from granian.server import MPServer

    # It starts a process that listens by itself.
    logs = {"loggers": {"_granian": {"propagate": True}}, "handlers": {}}
    MPServer(
        APP,
        port=order.port,
        interface=Interfaces.ASGI,
        loop=Loops(order.loop),
        log_level=LogLevels.warning,
        log_dictconfig=logs,
        workers_kill_timeout=max(1, round(order.grace)),
        **order.options,
    ).serve()


def daphne(order: Order) -> None:
    daphne: Any = import_module("daphne.cli")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in order.options.items()]
    daphne.CommandLineInterface().run(["--fd", str(order.listener), "--verbosity", "0", *options, APP])


SERVERS: Final[Mapping[str, Callable[[Order], None]]] = {
    "uvicorn-sansio": lambda order: uvicorn("websockets-sansio", order),
    "uvicorn-wsproto": lambda order: uvicorn("wsproto", order),
    "hypercorn-asyncio": hypercorn,
    "hypercorn-trio": hypercorn,
    "granian": granian,
    "daphne": daphne,
}


def main(name: str, order: str) -> None:
    """Run a server."""
    warnings.simplefilter("always", ResourceWarning)
    open_channel()
    SERVERS[name](Order(**json.loads(order)))


if __name__ == "__main__":
    main(*sys.argv[1:])
