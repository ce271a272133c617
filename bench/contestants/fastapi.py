"""FastAPI's own ``@app.websocket``, whose ``WebSocket`` is the classic class: pydantic reads and writes the frames."""

from fastapi import FastAPI

from bench.contestants import ALL_MODES, Application, Contestant, Task
from bench.contestants.classic import frame_handler


def make(task: Task) -> Application:
    app = FastAPI()
    app.websocket("/")(frame_handler(task))
    return app


CONTESTANTS = (Contestant("fastapi", make, modes=ALL_MODES, has_lifespan=True),)
