"""The tables of the README's section on speed, made from ``bench/results``.

``python -m bench.quoted`` prints them. A test compares them with the README. Figures are those of the first of two
runs.
"""

import json
from typing import Any, Final

from bench.report import RESULTS

VERSIONS: Final = ("3.11", "3.12", "3.13")
SERVED: Final = "uvicorn, websockets-sansio, uvloop: {}"
ECHO: Final = {
    "typedws": "typedws: `async for` and `send_model`",
    "typedws endpoint": "typedws, an endpoint with the default policy",
    "typedws in fastapi": "typedws, a route of FastAPI",
    "classic": "the classic class: `receive_text`, `validate_json`, `model_dump_json`",
    "classic json": "the classic class: `receive_json`, an adapter, `model_dump`, `send_json`",
}
LOADS: Final = {
    "10 connections, 1 small message each on their way": "10 × 1",
    "10 connections, 8 small messages each on their way": "10 × 8",
    "1,000 connections, 1 small message each on their way": "1,000 × 1",
    "1,000 connections, 8 small messages each on their way": "1,000 × 8",
    "10 connections, 8 big messages each on their way": "7 KB, 10 × 8",
}
ON_UVICORN: Final = {
    "typedws": "typedws",
    "typedws endpoint": "typedws, an endpoint",
    "typedws in fastapi": "typedws, a route of FastAPI",
    "classic": "the classic class, `validate_json`",
    "classic json": "the classic class, `receive_json`",
    "fastapi": "FastAPI, `validate_json`",
    "litestar by hand": "Litestar, `validate_json`",
    "quart-schema": "Quart-Schema",
    "chanx": "chanx",
}
HANDSHAKES: Final = {
    "typedws, endpoint": "typedws, an endpoint",
    "typedws, App": "typedws, an `App` of one route",
    "Starlette, checked": "a Starlette route that does the same checks by hand",
    "Starlette, app": "a Starlette route that only validates the parameters",
}


def rows_of(name: str, title: str, version: str = VERSIONS[0]) -> dict[str, Any]:
    """Return the rows of a table, by name."""
    runs: list[list[dict[str, Any]]] = json.loads((RESULTS / version / f"{name}.json").read_text())["runs"]
    rows: dict[str, Any] = next(each for each in runs[0] if each["title"] == title)["rows"]
    return rows


def by_version(name: str, title: str, rows: dict[str, str], heading: str) -> str:
    columns = [rows_of(name, title, version) for version in VERSIONS]
    return markdown_table([heading, *(f"Python {version}" for version in VERSIONS)], rows, columns)


def markdown_table(heading: list[str], rows: dict[str, str], columns: list[dict[str, Any]]) -> str:
    lines = [heading, ["---"] * len(heading)]
    lines += [[label, *(f"{column[name]['ratio']:.2f}" for column in columns)] for name, label in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables() -> list[str]:
    served = [rows_of("served", SERVED.format(title)) for title in LOADS]
    return [
        by_version("inprocess", "echo small text", ECHO, "a multiple of the floor"),
        markdown_table(["messages a second, of raw ASGI's", *LOADS.values()], ON_UVICORN, served),
        by_version("handshake", "a handshake and a close, with parameters", HANDSHAKES, "a multiple of FastAPI's"),
    ]


if __name__ == "__main__":
    print("\n\n".join(tables()))
