"""Rows of `tests.e2e.test_endings`, played in process: what a client sees of an end, what leaving raises, the log."""

import json
from contextlib import suppress
from typing import Any

from tests.e2e.test_endings import SECRET, Bare, Closure, Denial, Row, Seen, logged
from typedws import WebSocketDisconnect
from typedws.asgi import ASGIApp
from typedws.testing import ConnectionDenied, TestConnection, connect


async def assert_ends_as_told(row: Row) -> BaseException | None:
    """Play a row, compare all that it says, and give what leaving raised."""
    with logged() as log:
        seen, raised = await talk(row.mount(row.end()), row)
    assert seen == row.sees
    failures = [row.raises.__name__] if row.raises else list(row.tracebacks)
    assert ([] if raised is None else [type(raised).__name__]) == failures
    assert log.ours == [(level, told.replace("HOST", "testserver")) for level, told in row.logs]
    assert log.tracebacks == list(row.tracebacks)
    assert log.servers == []
    return raised


async def talk(app: ASGIApp, row: Row) -> tuple[Seen | Bare | None, BaseException | None]:
    """Give what the client sees, and what leaving raises."""
    headers = {"Origin": row.options["origin"]} if "origin" in row.options else None
    connecting = connect(app, row.path, headers=headers, subprotocols=row.options.get("subprotocols", ()))
    if not isinstance(row.sees, Closure):
        denied = await connecting.expect_denied()
        return denial_of(denied, row.sees), denied.__cause__
    seen = None
    try:
        async with connecting as ws:
            seen = await listen(ws, row)
    except Exception as error:
        return seen, error
    return seen, None


async def listen(ws: TestConnection[object, Any], row: Row) -> Closure:
    """Say what the row says, listen to the end, and tell what was seen."""
    with suppress(WebSocketDisconnect):  # the application may be quicker
        for message in row.says:
            await (ws.send_text(message) if isinstance(message, str) else ws.send_bytes(message))
    heard = [text async for text in ws.iter_text()]
    assert ws.end is not None
    assert ws.end.closed_by == "peer"
    return Closure(ws.end.code, ws.end.reason, tuple(heard))


def denial_of(denied: ConnectionDenied, expected: Seen | Bare) -> Denial | Bare:
    """Read a denial, and of its headers those that are expected."""
    assert SECRET not in str(denied.headers.raw)
    if denied.headers.get("content-type") != "application/problem+json":
        return Bare(denied.status, denied.body)
    document = json.loads(denied.body)
    assert document.pop("status") == denied.status
    assert (document.pop("type"), bool(document.pop("title"))) == ("about:blank", True)
    found = {name: denied.headers[name] for name in expected.headers} if isinstance(expected, Denial) else {}
    return Denial(denied.status, document.pop("detail", None), found, document)


def end_of(ws: TestConnection[Any, Any]) -> tuple[int, str]:
    """Give the code and the reason with which a connection ended."""
    assert ws.end is not None
    return ws.end.code, ws.end.reason
