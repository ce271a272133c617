"""Run the chat on uvicorn, talk to it, and leave it running for others. ``python -m examples.demo [--port N]``"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from examples.chat import Join, Say, app


@asynccontextmanager
async def serving(port: int) -> AsyncGenerator[tuple[str, asyncio.Task[None]]]:
    """Serve the chat while the block runs, and give its URL and the task that serves it."""
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
    """Show a conversation: valid messages, one that is not, and a handshake that is denied."""
    async with connect(f"{url}/chat/lobby?name=ann&token=sesame") as client:
        print(f"ann connects to {url}")
        await ask(client, Join().model_dump_json())
        await ask(client, Say(text="hello").model_dump_json())
        await ask(client, '{"type":"say","txt":"hello"}', remark="invalid: no text")
        await ask(client, Say(text="still here").model_dump_json())
    print(f"ann leaves: {client.close_code}")
    try:
        async with connect(f"{url}/chat/lobby?name=bob"):
            pass
    except InvalidStatus as denied:
        print(f"bob is denied without a token: {denied.response.status_code}")
        print(f"  chat > {json.loads(denied.response.body)}")


async def ask(client: ClientConnection, message: str, remark: str = "") -> None:
    """Send a message, and print it with the answer."""
    await client.send(message)
    print(f"  ann  > {message}" + (f"   ({remark})" if remark else ""))
    print(f"  chat > {await asyncio.wait_for(client.recv(), 10)!s}")


async def main(port: int) -> None:
    """Converse; then serve until Ctrl-C, or end where nobody could press it."""
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
