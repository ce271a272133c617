"""The server that `bench.client` measures clients against: it echoes each message, and prints its port.

``python -m bench.echoing``. By default it is the server of picows under uvloop. It is several times as fast as any
client except that of picows, so that the clients are measured. ``--server uvicorn`` runs a bare ASGI application on
uvicorn, to compare with a more common server.
"""

import argparse
import socket
from typing import Any

import picows
import uvicorn
import uvloop


class Echo(picows.WSListener):
    def pause_writing(self) -> None:
        """Go on writing into the buffer: all clients read."""

    def resume_writing(self) -> None: ...

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type is not picows.WSMsgType.PONG:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)


async def serve() -> None:
    server = await picows.ws_create_server(lambda _: Echo(), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def application(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


def serve_on_uvicorn() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, loop="uvloop", lifespan="off", log_level="warning", ws_per_message_deflate=False
    )
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=["picows", "uvicorn"], default="picows")
    if parser.parse_args().server == "uvicorn":
        serve_on_uvicorn()
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    main()
