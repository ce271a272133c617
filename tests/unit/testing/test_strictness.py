"""Mistakes that real servers refuse and lenient test clients accept: they raise inside the application."""

from typing import Any, Final

import pytest

from typedws import WebSocket
from typedws.exceptions import InvalidClose, InvalidHandshake, InvalidState, UnsendableMessage
from typedws.testing import ClientGone, ServerBehaviour, connect

pytestmark = pytest.mark.anyio

Event = dict[str, Any]

ACCEPT: Final[Event] = {"type": "websocket.accept"}
CLOSE: Final[Event] = {"type": "websocket.close"}
TEXT: Final[Event] = {"type": "websocket.send", "text": "hi"}
START: Final[Event] = {"type": "websocket.http.response.start", "status": 401}
BODY: Final[Event] = {"type": "websocket.http.response.body"}


def sending(*events: Event) -> Any:
    """Return an application that sends these events."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for event in events:
            await send(event)

    return app


@pytest.mark.parametrize(
    ("events", "error", "sentence"),
    [
        pytest.param(
            [TEXT],
            InvalidState,
            "expected websocket.accept or websocket.close or websocket.http.response.start, found websocket.send: "
            "call accept() first",
            id="a message before the accept",
        ),
        pytest.param(
            [ACCEPT, ACCEPT],
            InvalidState,
            "expected websocket.close or websocket.send, found websocket.accept: the connection is accepted already",
            id="a second accept",
        ),
        pytest.param(
            [ACCEPT, START],
            InvalidState,
            "expected websocket.close or websocket.send, found websocket.http.response.start: deny before accept()",
            id="a denial after the accept",
        ),
        pytest.param(
            [ACCEPT, CLOSE, TEXT], InvalidState, "expected no further event, found websocket.send", id="after the close"
        ),
        pytest.param(
            [ACCEPT, CLOSE, CLOSE],
            InvalidState,
            "expected no further event, found websocket.close",
            id="a second close",
        ),
        pytest.param(
            [START, BODY, ACCEPT],
            InvalidState,
            "expected no further event, found websocket.accept",
            id="after a denial",
        ),
        pytest.param(
            [{**ACCEPT, "subprotocol": "chat"}],
            InvalidHandshake,
            "subprotocol: expected one of the 0 that the client offered, found 'chat'",
            id="a subprotocol that was not offered",
        ),
        pytest.param(
            [{**ACCEPT, "headers": [(b"X-A", b"1")]}],
            InvalidHandshake,
            "headers: expected pairs of bytes, names in lower case, found (b'X-A', b'1')",
            id="a header in upper case",
        ),
        pytest.param(
            [{**ACCEPT, "headers": [(b"upgrade", b"h2")]}],
            InvalidHandshake,
            "headers: expected no header of the handshake itself, found 'upgrade'",
            id="a header of the handshake",
        ),
        pytest.param(
            [{**START, "status": 101}],
            InvalidHandshake,
            "status: expected an HTTP status from 200 to 599, found 101",
            id="an informational status",
        ),
        *(
            pytest.param(
                [ACCEPT, {**CLOSE, "code": code}],
                InvalidClose,
                f"expected a close code that may be sent (1000-1003, 1007-1014, 3000-4999), found {found}",
                id=f"close code {code}",
            )
            for code, found in [
                (1005, "1005 (no status received)"),
                (1006, "1006 (abnormal closure, no close frame)"),
                (999, "999 (unknown)"),
            ]
        ),
        pytest.param(
            [ACCEPT, {**CLOSE, "reason": "x" * 124}],
            InvalidClose,
            "expected a close reason of at most 123 bytes of UTF-8, found 124 bytes: shorten it with truncate_reason()",
            id="a long reason",
        ),
        pytest.param(
            [ACCEPT, {**TEXT, "text": "\ud800"}],
            UnsendableMessage,
            "expected text that UTF-8 can encode, found a lone surrogate at index 0: nothing was sent",
            id="text that is not UTF-8",
        ),
        pytest.param(
            [ACCEPT, {**TEXT, "bytes": b"hi"}],
            UnsendableMessage,
            "expected one of text and bytes, found 2 of them: nothing was sent",
            id="text and bytes",
        ),
        pytest.param(
            [ACCEPT, {"type": "websocket.send", "text": None}],
            UnsendableMessage,
            "expected one of text and bytes, found none of them: nothing was sent",
            id="neither text nor bytes",
        ),
        pytest.param(
            [ACCEPT, {"type": "websocket.send", "text": b"hi"}],
            UnsendableMessage,
            "expected text of type str, found a bytes: nothing was sent",
            id="bytes as text",
        ),
        pytest.param(
            [{"type": "http.response.start", "status": 200}],
            InvalidState,
            "expected an event of the ASGI WebSocket specification, found 'http.response.start'",
            id="an event of HTTP",
        ),
    ],
)
async def test_an_application_that_breaks_a_rule_gets_the_error_for_it(
    events: list[Event], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        async with connect(sending(*events)) as ws:
            await ws.receive_text()
    assert str(caught.value) == sentence


async def test_a_denial_response_needs_the_extension() -> None:
    with pytest.raises(InvalidState, match="the server has no Denial Response extension"):
        await connect(sending(START), server=ServerBehaviour(no_denial_extension=True)).__aenter__()


async def test_a_receive_after_the_disconnect_raises() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await WebSocket(scope, receive, send).accept()
        await receive()
        await receive()

    with pytest.raises(InvalidState, match=r"expected no further receive\(\), found one after websocket.disconnect"):
        async with connect(app):
            pass


async def test_a_send_after_the_client_has_left_raises() -> None:
    errors: list[OSError] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(ACCEPT)(scope, receive, send)
        await receive()
        for event in (TEXT, CLOSE):
            try:
                await send(event)
            except OSError as error:
                errors.append(error)

    async with connect(app):
        pass
    assert [type(error) for error in errors] == [ClientGone, ClientGone]
