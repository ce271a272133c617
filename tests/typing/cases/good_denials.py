"""Denials: our own response, and the response objects of frameworks."""

from typing import assert_type

import fastapi.responses
import starlette.responses
from litestar.response.base import ASGIResponse
from litestar.response.redirect import ASGIRedirectResponse
from tests.typing.cases.messages import ChatHandshake, ChatWebSocket, Order
from typedws import DenialResponse, Denied, ProblemDocument, WebSocketClose
from typedws.asgi import ASGIApp, Receive, Scope, Send, WebSocketResponseBodyEvent, WebSocketResponseStartEvent


def responses() -> None:
    response = DenialResponse()
    assert_type(response.status, int)
    assert_type(response.headers, list[tuple[bytes, bytes]])
    assert_type(response.body, bytes)
    assert_type(response.events(), tuple[WebSocketResponseStartEvent, WebSocketResponseBodyEvent])
    DenialResponse(401, headers={"WWW-Authenticate": "Bearer"}, body=b"no")
    DenialResponse(status=401, headers=[("retry-after", "1")], body="no")
    DenialResponse(401, headers=[(b"retry-after", b"1")], body=Order())
    DenialResponse(403, body=ProblemDocument.of(403, "not here"))
    DenialResponse(403, headers=None, body=ProblemDocument(title="No", status=403, instance="/chat"))


async def ours(handshake: ChatHandshake, whole: ChatWebSocket) -> None:
    assert_type(await handshake.send_denial_response(DenialResponse(404)), Denied)
    assert_type(await whole.send_denial_response(response=DenialResponse(404)), Denied)
    assert_type((await handshake.deny(404)).status, int)


async def those_of_starlette(handshake: ChatHandshake) -> None:
    await handshake.send_denial_response(starlette.responses.Response(status_code=401))
    await handshake.send_denial_response(starlette.responses.JSONResponse({"detail": "no"}, 401))
    await handshake.send_denial_response(starlette.responses.FileResponse("no.txt"))
    await handshake.send_denial_response(starlette.responses.RedirectResponse("/login"))
    await handshake.send_denial_response(starlette.responses.StreamingResponse(iter(["no"])))


async def those_of_fastapi(handshake: ChatHandshake) -> None:
    await handshake.send_denial_response(fastapi.Response(status_code=401))
    await handshake.send_denial_response(fastapi.responses.PlainTextResponse("no", 401))


async def those_of_litestar(handshake: ChatHandshake) -> None:
    await handshake.send_denial_response(ASGIResponse(body=b"no", status_code=401))
    await handshake.send_denial_response(ASGIRedirectResponse("/login"))


async def any_application(handshake: ChatHandshake, application: ASGIApp) -> None:
    await handshake.send_denial_response(application)
    await handshake.send_denial_response(WebSocketClose())
    await handshake.send_denial_response(a_function)


async def a_function(scope: Scope, receive: Receive, send: Send) -> None:
    for event in DenialResponse(403).events():
        await send(event)
