"""The examples, served by uvicorn as users serve them, with a client that does not use typedws."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import anyio
import ormsgpack
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from examples import auth_chat, first_message, price_feed, upload
from tests.e2e.serving import LIMIT, UvicornServer
from typedws import App

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(app: App) -> AsyncGenerator[str]:
    """Serve an application while the block runs, which may take `LIMIT` seconds. Yield the URL of its root."""
    config = uvicorn.Config(
        app, port=0, ws="websockets-sansio", lifespan="on", log_config=None, timeout_graceful_shutdown=1
    )
    async with UvicornServer(config).running() as port:
        with anyio.fail_after(LIMIT):
            yield f"ws://127.0.0.1:{port}"


def client(url: str, *subprotocols: str, **options: Any) -> connect:
    return connect(url, proxy=None, subprotocols=[Subprotocol(each) for each in subprotocols] or None, **options)


async def send_json(ws: ClientConnection, **message: object) -> None:
    await ws.send(json.dumps(message))


async def receive_json(ws: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await ws.recv())
    return message


async def closed_with(ws: ClientConnection) -> tuple[int, str]:
    """Return the code and the reason with which the server closes. Messages before the close are skipped."""
    with pytest.raises(ConnectionClosed) as caught:
        async for _ in ws:
            pass
        await ws.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


# --- auth_chat ---


BEARER = {"Authorization": "Bearer token-of-ann"}


async def test_auth_chat_lets_each_member_use_its_own_mode() -> None:
    async with (
        serving(auth_chat.app) as url,
        client(f"{url}/chat/lobby", "chat.v1.json", additional_headers=BEARER) as ann,
        client(f"{url}/chat/lobby", "bearer", "token-of-bob", "chat.v1.msgpack") as bob,
    ):
        assert (ann.subprotocol, bob.subprotocol) == ("chat.v1.json", "chat.v1.msgpack")
        await send_json(ann, type="say", text="hello")
        message = {"type": "said", "text": "hello", "by": "ann"}
        assert await receive_json(ann) == message
        assert ormsgpack.unpackb(await bob.recv(decode=False)) == message
        await bob.send(ormsgpack.packb({"type": "leave"}))
        assert await closed_with(bob) == (1000, "")
        assert await receive_json(ann) == {"type": "left", "who": "bob"}


@pytest.mark.parametrize(
    ("options", "subprotocols", "status"),
    [
        pytest.param({}, [], 401, id="without a token"),
        pytest.param({"additional_headers": {"Authorization": "Bearer guess"}}, [], 401, id="with a wrong token"),
        pytest.param({"additional_headers": BEARER}, ["chat.v2.json"], 400, id="in a version that is not spoken"),
        pytest.param({"additional_headers": BEARER, "origin": "https://evil.example"}, [], 403, id="from elsewhere"),
    ],
)
async def test_auth_chat_denies_an_unauthorized_client(
    options: dict[str, Any], subprotocols: list[str], status: int
) -> None:
    async with serving(auth_chat.app) as url:
        with pytest.raises(InvalidStatus) as denied:
            async with client(f"{url}/chat/lobby", *subprotocols, **options):
                pass
    response = denied.value.response
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in response.headers) is (status == 401)


async def test_auth_chat_selects_the_bearer_subprotocol_where_nothing_else_is_offered() -> None:
    async with serving(auth_chat.app) as url, client(f"{url}/chat/lobby", "bearer", "token-of-bob") as bob:
        assert bob.subprotocol == "bearer"
        await send_json(bob, type="say", text="hello")
        assert await receive_json(bob) == {"type": "said", "text": "hello", "by": "bob"}


async def test_auth_chat_closes_with_its_own_code_and_description() -> None:
    async with serving(auth_chat.app) as url, client(f"{url}/chat/lobby", additional_headers=BEARER) as ann:
        await send_json(ann, type="say", text="HELLO")
        assert await closed_with(ann) == (4001, "no shouting here")


async def test_auth_chat_denies_an_unknown_room() -> None:
    async with serving(auth_chat.app) as url:
        with pytest.raises(InvalidStatus) as denied:
            async with client(f"{url}/chat/attic", additional_headers=BEARER):
                pass
    assert denied.value.response.status_code == 422
    assert json.loads(denied.value.response.body)["errors"] == [{"name": "room", "problem": "literal_error"}]


# --- first_message ---


async def test_first_message_sends_nothing_before_the_auth_message() -> None:
    async with (
        serving(first_message.app) as url,
        client(f"{url}/chat") as stranger,
        client(f"{url}/chat") as ann,
    ):
        await send_json(ann, type="auth", token="token-of-ann")
        assert await receive_json(ann) == {"type": "welcome", "name": "ann"}
        await send_json(ann, type="rename", name="anna")
        await send_json(ann, type="say", text="hello")
        assert await receive_json(ann) == {"type": "said", "text": "hello", "by": "anna"}
        await send_json(stranger, type="auth", token="token-of-bob")
        assert await receive_json(stranger) == {"type": "welcome", "name": "bob"}


@pytest.mark.parametrize(
    ("first", "end"),
    [
        pytest.param({"type": "say", "text": "hello"}, (4001, "expected an auth message first"), id="another message"),
        pytest.param({"type": "auth"}, (4001, "expected an auth message first"), id="no token"),
        pytest.param({"type": "auth", "token": "guess"}, (4003, "the token is unknown"), id="a wrong token"),
    ],
)
async def test_first_message_closes_after_a_wrong_first_message(first: dict[str, Any], end: tuple[int, str]) -> None:
    async with serving(first_message.app) as url, client(f"{url}/chat") as stranger:
        await send_json(stranger, **first)
        assert await closed_with(stranger) == end


async def test_first_message_closes_if_no_message_comes_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_message, "AUTH_TIMEOUT", 0.01)
    async with serving(first_message.app) as url, client(f"{url}/chat") as stranger:
        assert await closed_with(stranger) == (4001, "expected an auth message first")


async def test_first_message_refuses_a_second_auth() -> None:
    async with serving(first_message.app) as url, client(f"{url}/chat") as ann:
        await send_json(ann, type="auth", token="token-of-ann")
        await send_json(ann, type="auth", token="token-of-ann")
        code, reason = await closed_with(ann)
        assert code == 1007
        assert "token-of-ann" not in reason


# --- price_feed ---


HOOLI = "HOOLI" * 10_000  # so large that the buffers on the way to a client that does not read are soon full


@pytest.fixture
def a_fast_market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_feed, "PAUSE", 0.001)


@pytest.mark.usefixtures("a_fast_market")
async def test_price_feed_sends_new_subscribers_every_price_and_then_the_changes() -> None:
    async with serving(price_feed.app) as url, client(f"{url}/prices") as one, client(f"{url}/prices") as other:
        for subscriber in (one, other):
            known = {(await receive_json(subscriber))["symbol"] for _ in price_feed.newest}
            assert known <= set(price_feed.newest)
            for _ in range(10):
                assert (await receive_json(subscriber))["symbol"] in price_feed.newest


async def test_price_feed_skips_old_prices_for_a_client_that_does_not_read_and_none_for_one_that_does() -> None:
    async with (
        serving(price_feed.app) as url,
        # Its queue may be full again at the end: then it does not read the server's close frame.
        client(f"{url}/prices", max_queue=1, compression=None, close_timeout=0.1) as slow,
        client(f"{url}/prices", compression=None) as fast,
    ):
        before, price = price_feed.subscribers.statistics.dropped, 0
        while price_feed.subscribers.statistics.dropped < before + 10:
            price += 1
            await price_feed.subscribers.send(price_feed.Tick(symbol=HOOLI, price=price))
            while (tick := await receive_json(fast))["symbol"] != HOOLI:
                pass
            assert tick["price"] == price
        prices = [0.0]
        while prices[-1] != price:
            tick = await receive_json(slow)
            if tick["symbol"] == HOOLI:
                prices.append(tick["price"])
    assert prices == sorted(prices)
    assert len(prices) <= price - 10 + 1


@pytest.mark.usefixtures("a_fast_market")
async def test_price_feed_removes_a_subscriber_that_leaves() -> None:
    async with serving(price_feed.app) as url:
        async with client(f"{url}/prices") as subscriber:
            await receive_json(subscriber)
            assert len(price_feed.subscribers) == 1
        async with client(f"{url}/prices") as newcomer:
            while await receive_json(newcomer):
                if len(price_feed.subscribers) == 1:
                    break


# --- upload ---


FILE = bytes(range(256)) * 600
DIGEST = sha256(FILE).hexdigest()


async def send_file(ws: ClientConnection, digest: str) -> list[dict[str, Any]]:
    await send_json(ws, type="begin", name="all.bin", size=len(FILE))
    progress: list[dict[str, Any]] = []
    for start in range(0, len(FILE), upload.MAX_FRAME):
        await ws.send(FILE[start : start + upload.MAX_FRAME])
        progress.append(await receive_json(ws))
    await send_json(ws, type="done", sha256=digest)
    return progress


async def test_upload_reports_its_progress_and_takes_one_file_after_the_other() -> None:
    async with serving(upload.app) as url, client(f"{url}/upload") as ws:
        for _ in range(2):
            progress = await send_file(ws, DIGEST)
            assert [each["received"] for each in progress] == [65_536, 131_072, 153_600]
            assert await receive_json(ws) == {"type": "stored", "name": "all.bin", "sha256": DIGEST}
    assert ws.close_code == 1000


async def test_upload_refuses_a_wrong_digest() -> None:
    async with serving(upload.app) as url, client(f"{url}/upload") as ws:
        await send_file(ws, "0" * 64)
        assert await closed_with(ws) == (4002, "what came is not what was announced")


@pytest.mark.parametrize(
    ("frames", "end"),
    [
        pytest.param(['{"type":"begin","name":"a","size":10000001}'], 4001, id="a large file"),
        pytest.param(
            ['{"type":"begin","name":"a","size":9}', b"0" * 10, '{"type":"done","sha256":""}'], 4002, id="more"
        ),
        pytest.param(['{"type":"begin","name":"a","size":99999}', b"0" * 65_537], 1009, id="a large frame"),
        pytest.param(['{"type":"begin","name":"a","size":9}', '{"type":"done","sha256":""}'], 1003, id="less"),
        pytest.param(['{"type":"begin","name":"a","size":-1}'], 1007, id="a negative size"),
        pytest.param([b"0"], 1003, id="content before its name"),
    ],
)
async def test_upload_closes_after_an_invalid_upload(frames: list[str | bytes], end: int) -> None:
    async with serving(upload.app) as url, client(f"{url}/upload") as ws:
        for frame in frames:
            await ws.send(frame)
        assert (await closed_with(ws))[0] == end
