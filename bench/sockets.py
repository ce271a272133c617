"""Real sockets: an application on uvicorn in a process of its own, and clients with the minimum of the protocol.

``python -m bench.sockets bench.module:name`` serves it under uvloop, without compression or pings, and prints the port.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import uvicorn

__all__ = ["HANDSHAKE", "configured", "connected", "framed", "receive_text", "send_text", "serving"]

HANDSHAKE: Final = "\r\n".join(
    [
        "GET {path} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Origin: http://localhost",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: c2l4dGVlbiBieXRlcy4uLg==",
        "\r\n",
    ]
)


@contextlib.contextmanager
def serving(application: str) -> Iterator[tuple[int, int]]:
    """Serve an application, given as ``module:name``. Yield the process id and the port."""
    command = [sys.executable, "-m", "bench.sockets", application]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.pid, int(server.stdout.readline())
        finally:
            server.kill()


def connected(port: int, path: str = "/") -> socket.socket:
    """Open a WebSocket connection. This and each later operation on it may take 30 seconds."""
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(HANDSHAKE.format(path=path).encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += (part := client.recv(4096))
        if not part:
            raise RuntimeError(f"{path} was answered with {answer!r}")
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise RuntimeError(f"{path} was answered with {answer!r}")
    return client


def send_text(client: socket.socket, text: str) -> None:
    """Send a text of up to 125 bytes."""
    data, mask = text.encode(), os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
    client.sendall(bytes((0x81, 0x80 | len(data))) + mask + masked)


def framed(text: str) -> bytes:
    """Return the frame that a server sends for a text of up to 125 bytes."""
    data = text.encode()
    return bytes((0x81, len(data))) + data


def receive_text(client: socket.socket) -> str:
    """Receive and return the next text, of up to 125 bytes."""
    head = _exactly(client, 2)
    if head[0] != 0x81:
        raise RuntimeError(f"a frame that begins with {head!r}")
    return _exactly(client, head[1]).decode()


def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += (part := client.recv(count - len(data)))
        if not part:
            raise RuntimeError("the connection was closed")
    return data


def configured(application: Any, log_level: str = "warning") -> uvicorn.Config:
    """Configure uvicorn's usual protocol without irregular work: compression, pings, logs."""
    return uvicorn.Config(
        application,
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        proxy_headers=False,
        log_level=log_level,
    )


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = configured(getattr(import_module(module), name))
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
