"""Run rows of `tests.e2e.test_endings` in process: what the client sees, what leaving raises, what is logged."""

import json
from contextlib import suppress
from typing import Any

from tests.e2e.test_endings import SECRET, Bare, Close, Denial, Row, Seen, logged
from typedws import WebSocketDisconnect
from typedws.asgi import ASGIApp
from typedws.testing import ConnectionDenied, TestConnection, connect


async def assert_ends_as_expected(row: Row) -> BaseException | None:
    """Run a row, compare the results with it, and return what leaving raised."""
    with logged() as log:
        seen, raised = await run_client(row.mount(row.end()), row)
    assert seen == row.sees
    failures = [row.raises.__name__] if row.raises else list(row.tracebacks)
    assert ([] if raised is None else [type(raised).__name__]) == failures
    assert log.ours == [(level, message.replace("HOST", "testserver")) for level, message in row.logs]
    assert log.tracebacks == list(row.tracebacks)
    assert log.servers == []
    return raised


async def run_client(app: ASGIApp, row: Row) -> tuple[Seen | Bare | None, BaseException | None]:
    """Connect as the row says; return what the client sees, and what leaving raises."""
    headers = {"Origin": row.options["origin"]} if "origin" in row.options else None
    connecting = connect(app, row.path, headers=headers, subprotocols=row.options.get("subprotocols", ()))
    if not isinstance(row.sees, Close):
        denied = await connecting.expect_denied()
        return read_denial(denied, row.sees), denied.__cause__
    seen = None
    try:
        async with connecting as ws:
            seen = await send_and_receive(ws, row)
    except Exception as error:
        return seen, error
    return seen, None


async def send_and_receive(ws: TestConnection[object, Any], row: Row) -> Close:
    """Send the row's messages, receive until the end, and return what was seen."""
    with suppress(WebSocketDisconnect):  # the application may close before all are sent
        for message in row.sends:
            await (ws.send_text(message) if isinstance(message, str) else ws.send_bytes(message))
    texts = [text async for text in ws.iter_text()]
    assert ws.end is not None
    assert ws.end.closed_by == "peer"
    return Close(ws.end.code, ws.end.reason, tuple(texts))


def read_denial(denied: ConnectionDenied, expected: Seen | Bare) -> Denial | Bare:
    """Read a denial and its problem document, with only those headers that are expected."""
    assert SECRET not in str(denied.headers.raw)
    if denied.headers.get("content-type") != "application/problem+json":
        return Bare(denied.status, denied.body)
    document = json.loads(denied.body)
    assert document.pop("status") == denied.status
    assert (document.pop("type"), bool(document.pop("title"))) == ("about:blank", True)
    headers = {name: denied.headers[name] for name in expected.headers} if isinstance(expected, Denial) else {}
    return Denial(denied.status, document.pop("detail", None), headers, document)


def end_of(ws: TestConnection[Any, Any]) -> tuple[int, str]:
    """Return the code and the reason of the close."""
    assert ws.end is not None
    return ws.end.code, ws.end.reason
