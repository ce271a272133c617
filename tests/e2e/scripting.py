"""Scripts as users write them, with `connect_sync`.

``python -m tests.e2e.scripting NAME URL`` runs one.
"""

import sys
from collections.abc import Callable
from typing import Final

from tests.e2e.counting import Ask, Client, Finish, counting
from typedws.client import connect_sync

__all__ = ["SCRIPTS"]

ANN: Final = Client(crowd="small", client="ann")


def receives_all(url: str) -> None:
    with connect_sync(url, counting, params=ANN) as ws:
        for number in range(3):
            ws.send_model(Ask(number=number))
        ws.send_model(Finish())
        for answer in ws:
            print(answer.number)
    assert ws.end is not None
    print(ws.end.code, ws.end.reason)


def closes(url: str) -> None:
    with connect_sync(url, counting, params=ANN) as ws:
        ws.send_model(Ask(number=0))
        print(ws.receive_model().number)
        print(ws.close(3000).code)


def fails(url: str) -> None:
    with connect_sync(url, counting, params=ANN) as ws:
        ws.send_model(Ask(number=0))
        print(ws.receive_model().number // 0)


def waits(url: str) -> None:
    with connect_sync(url, counting, params=ANN) as ws:
        ws.send_model(Ask(number=0))
        for answer in ws:
            print(answer.number, flush=True)


def waits_after_interrupt(url: str) -> None:
    with connect_sync(url, counting, params=ANN) as ws:
        ws.send_model(Ask(number=0))
        try:
            while True:
                print(ws.receive_model().number, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        ws.send_model(Ask(number=1))
        for answer in ws:
            print(answer.number, flush=True)


SCRIPTS: Final[dict[str, Callable[[str], None]]] = {
    script.__name__: script for script in (receives_all, closes, fails, waits, waits_after_interrupt)
}

if __name__ == "__main__":
    SCRIPTS[sys.argv[1]](sys.argv[2])
