"""Run the chat on uvicorn, talk to it, and keep it running for other clients.

``python -m examples.demo [--port N]``
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
import uvicorn

from examples.chat import ClientMessage, Join, Room, Say, ServerMessage, app, chat
from typedws import Connection
from typedws.client import ConnectionDenied, connect


@asynccontextmanager
async def serving(port: int) -> AsyncGenerator[tuple[str, asyncio.Task[None]]]:
    """Serve the chat while the block runs. Yield its URL and the task that serves it."""
    config = uvicorn.Config(app, port=port, ws="websockets-sansio", log_level="critical")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}", task
    finally:
        server.should_exit = True
        await task


async def converse(url: str) -> None:
    """Show a conversation: valid messages, an invalid one, and a denied handshake."""
    room = f"{url}/chat/{{room}}"
    async with connect(room, chat.contract, params=Room(room="lobby", name="ann", token="sesame")) as ws:
        print(f"ann connects to {url}")
        await ask(ws, Join())
        await ask(ws, Say(text="hello"))
        print('  ann  > {"type":"say","txt":"hello"}   (invalid: no text)')
        await ws.send_json({"type": "say", "txt": "hello"})
        await show_answer(ws)
        await ask(ws, Say(text="still here"))
    print(f"ann leaves: {ws.end and ws.end.code}")
    try:
        async with connect(room, chat.contract, params=Room(room="lobby", name="bob")):
            pass
    except ConnectionDenied as denied:
        print(f"bob is denied without a token: {denied.status}")
        print(f"  chat > {json.loads(denied.body)}")


async def ask(ws: Connection[ServerMessage, ClientMessage], message: Join | Say) -> None:
    """Send a message, and print it with the answer."""
    print(f"  ann  > {message.model_dump_json()}")
    await ws.send_model(message)
    await show_answer(ws)


async def show_answer(ws: Connection[ServerMessage, ClientMessage]) -> None:
    """Print the next message of the chat."""
    with anyio.fail_after(10):
        answer = await ws.receive_model()
    print(f"  chat > {answer.model_dump_json()}")


async def main(port: int) -> None:
    """Converse, and then serve until Ctrl-C. Without a terminal, end after the conversation."""
    async with serving(port) as (url, task):
        await converse(url)
        if sys.stdin.isatty() and sys.stdout.isatty():
            print("\nStill serving. Talk to it from another terminal (Ctrl-C ends this one):")
            print(f'  .venv/bin/websockets "{url}/chat/lobby?name=you&token=sesame"')
            print('  > {"type": "say", "text": "hello"}', flush=True)
            await task


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port to serve on; a free one by default")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args().port))
