"""Handlers that send back what they hear, for the tests of more than one file."""

from typing import Any

from typedws import WebSocket


async def iterate_text(ws: WebSocket[Any, Any, Any]) -> None:
    async for text in ws.iter_text():
        await ws.send_text(text)


async def receive_text(ws: WebSocket[Any, Any, Any]) -> None:
    while True:
        await ws.send_text(await ws.receive_text())
