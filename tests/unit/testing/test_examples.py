"""The examples, run in process with their own models and contracts, and with their time limits on an advanced clock."""

from hashlib import sha256
from typing import Any, Final, Never

import pytest

from examples import auth_chat, chat, fastapi_chat, first_message, price_feed, upload
from tests.unit.testing.rows import end_of
from typedws import ErrorReply
from typedws.testing import TestConnecting, TestConnection, advance_clock, connect, settle

pytestmark = pytest.mark.anyio

# --- auth_chat ---

TOKEN_OF_ANN: Final = {"Authorization": "Bearer token-of-ann"}
TOKEN_OF_BOB: Final = ("bearer", "token-of-bob")
ChatConnecting = TestConnecting[auth_chat.ServerMessage, auth_chat.ClientMessage]


def connect_as_ann(*subprotocols: str) -> ChatConnecting:
    return connect(auth_chat.app, "/chat/lobby", auth_chat.chat, headers=TOKEN_OF_ANN, subprotocols=subprotocols)


def connect_as_bob(*subprotocols: str) -> ChatConnecting:
    return connect(auth_chat.app, "/chat/lobby", auth_chat.chat, subprotocols=[*TOKEN_OF_BOB, *subprotocols])


async def test_auth_chat_sends_to_each_member_in_its_own_mode() -> None:
    async with connect_as_ann("chat.v1.json") as ann, connect_as_bob("chat.v1.msgpack") as bob:
        assert (ann.subprotocol, bob.subprotocol) == ("chat.v1.json", "chat.v1.msgpack")
        await ann.send_model(auth_chat.Say(text="hello"))
        for each in (ann, bob):
            await each.expect(auth_chat.Said, text="hello", by="ann")
        await bob.send_model(auth_chat.Leave())
        await bob.expect_close()
        await ann.expect(auth_chat.Left, who="bob")


@pytest.mark.parametrize(
    ("headers", "subprotocols", "status"),
    [
        pytest.param({}, [], 401, id="without a token"),
        pytest.param({"Authorization": "Bearer guess"}, [], 401, id="with a wrong token"),
        pytest.param(TOKEN_OF_ANN, ["chat.v2.json"], 400, id="in an unsupported version"),
        pytest.param({**TOKEN_OF_ANN, "Origin": "https://evil.example"}, [], 403, id="from another origin"),
    ],
)
async def test_auth_chat_denies_a_client_without_a_valid_request(
    headers: dict[str, str], subprotocols: list[str], status: int
) -> None:
    connecting = connect(auth_chat.app, "/chat/lobby", auth_chat.chat, headers=headers, subprotocols=subprotocols)
    denied = await connecting.expect_denied(status)
    assert denied.problem is not None
    assert ("www-authenticate" in denied.headers) is (status == 401)


async def test_auth_chat_selects_the_token_marker_if_no_other_subprotocol_is_offered() -> None:
    async with connect_as_bob() as bob:
        assert bob.subprotocol == "bearer"
        await bob.send_model(auth_chat.Say(text="hello"))
        await bob.expect(auth_chat.Said, text="hello", by="bob")


async def test_auth_chat_closes_with_its_own_code_and_description() -> None:
    async with connect_as_ann() as ann:
        await ann.send_model(auth_chat.Say(text="HELLO"))
        await ann.expect_close(auth_chat.ChatClose.SHOUTED, "no shouting here")


async def test_auth_chat_denies_an_unknown_room() -> None:
    denied = await connect(auth_chat.app, "/chat/attic", auth_chat.chat, headers=TOKEN_OF_ANN).expect_denied(422)
    assert b'[{"name":"room","problem":"literal_error"}]' in denied.body


# --- chat ---


def connect_to_chat(name: str) -> TestConnecting[chat.ServerMessage, chat.ClientMessage]:
    return connect(chat.app, f"/chat/lobby?name={name}&token=sesame", chat.chat.contract)


async def test_chat_sends_to_all_members_and_replies_to_an_invalid_message() -> None:
    async with connect_to_chat("ann") as ann, connect_to_chat("bob") as bob:
        await ann.send_model(chat.Join())
        await ann.expect(chat.Joined, room="lobby")
        await ann.send_json({"type": "say", "txt": "hello"})
        await ann.expect(ErrorReply, problem="invalid")
        await ann.send_model(chat.Say(text="hello"))
        for each in (ann, bob):
            await each.expect(chat.Said, text="hello", by="ann")
        await bob.expect_nothing()


async def test_chat_denies_a_client_without_the_token() -> None:
    denied = await connect(chat.app, "/chat/lobby?name=bob", chat.chat.contract).expect_denied(401)
    assert denied.problem is not None
    assert denied.problem.detail == "token missing or wrong"


# --- fastapi_chat ---


def connect_to_fastapi_chat(token: str) -> TestConnecting[fastapi_chat.Said, fastapi_chat.Say]:
    return connect(fastapi_chat.app, f"/chat/garden?token={token}", fastapi_chat.chat)


async def test_fastapi_chat_names_the_sender_and_stores_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi_chat, "history", [])
    async with connect_to_fastapi_chat("token-of-ann") as ann, connect_to_fastapi_chat("token-of-bob") as bob:
        for each, name in ((ann, "ann"), (bob, "bob")):
            await each.send_model(fastapi_chat.Say(text="hello"))
            for member in (ann, bob):
                await member.expect(fastapi_chat.Said, text="hello", by=name)
    assert fastapi_chat.history == [("garden", "ann", "hello"), ("garden", "bob", "hello")]


async def test_fastapi_chat_denies_a_client_with_a_wrong_token() -> None:
    await connect_to_fastapi_chat("guess").expect_denied(401)


# --- first_message ---


def connect_to_first_message() -> TestConnecting[first_message.ServerMessage, first_message.ClientMessage]:
    return connect(first_message.app, "/chat", first_message.talk.contract)


def auth_message(name: str) -> dict[str, str]:
    return {"type": "auth", "token": f"token-of-{name}"}


async def test_first_message_sends_nothing_before_the_auth_message() -> None:
    async with connect_to_first_message() as guest, connect_to_first_message() as ann:
        await ann.send_json(auth_message("ann"))
        await ann.expect(first_message.Welcome, name="ann")
        await ann.send_model(first_message.Rename(name="anna"))
        await ann.send_model(first_message.Say(text="hello"))
        await ann.expect(first_message.Said, text="hello", by="anna")
        await guest.expect_nothing()
        await guest.send_json(auth_message("bob"))
        await guest.expect(first_message.Welcome, name="bob")


@pytest.mark.parametrize(
    ("message", "end", "reason"),
    [
        pytest.param(
            {"type": "say", "text": "hello"}, "AUTH_EXPECTED", "expected an auth message first", id="not auth"
        ),
        pytest.param({"type": "auth"}, "AUTH_EXPECTED", "expected an auth message first", id="no token"),
        pytest.param({"type": "auth", "token": "guess"}, "WRONG_TOKEN", "the token is unknown", id="a wrong token"),
    ],
)
async def test_first_message_closes_on_a_wrong_first_message(message: dict[str, str], end: str, reason: str) -> None:
    async with connect_to_first_message() as guest:
        await guest.send_json(message)
        await guest.expect_close(first_message.ChatClose[end], reason)


async def test_first_message_closes_if_no_auth_message_arrives() -> None:
    async with connect_to_first_message() as guest:
        await advance_clock(first_message.AUTH_TIMEOUT - 1)
        await guest.expect_nothing()
        await advance_clock(1)
        await guest.expect_close(first_message.ChatClose.AUTH_EXPECTED)


async def test_first_message_closes_on_a_second_auth_message() -> None:
    async with connect_to_first_message() as ann:
        await ann.send_json(auth_message("ann"))
        await ann.expect(first_message.Welcome)
        await ann.send_json(auth_message("ann"))
        assert "token-of-ann" not in (await ann.expect_close(1007)).reason


# --- price_feed ---


async def expect_every_price(subscriber: TestConnection[price_feed.Tick, Never]) -> None:
    for symbol in price_feed.newest:
        await subscriber.expect(price_feed.Tick, symbol=symbol)


async def test_price_feed_sends_every_price_to_a_new_subscriber() -> None:
    async with connect(price_feed.subscribe) as one, connect(price_feed.subscribe) as other:  # no price changes
        for subscriber in (one, other):
            await expect_every_price(subscriber)
            await subscriber.expect_nothing()


async def test_price_feed_sends_changed_prices() -> None:
    async with connect(price_feed.app, "/prices", price_feed.subscribe.contract) as subscriber:
        await advance_clock(10 * price_feed.PAUSE)
        for _ in range(10):  # the initial prices, and changed ones
            await subscriber.expect(price_feed.Tick)


async def test_price_feed_skips_old_prices_only_for_a_subscriber_that_does_not_read() -> None:
    async with connect(price_feed.subscribe) as slow, connect(price_feed.subscribe) as fast:
        for subscriber in (slow, fast):
            await expect_every_price(subscriber)
        slow.stop_reading()
        for price in (1.0, 2.0, 3.0):
            await price_feed.subscribers.send(price_feed.Tick(symbol="HOOLI", price=price))
            await fast.expect(price_feed.Tick, price=price)
        slow.read_again()
        for price in (1.0, 3.0):  # the first was already being sent; the last replaced the one between
            await slow.expect(price_feed.Tick, price=price)
        await slow.expect_nothing()


@pytest.mark.parametrize("departure", ["it closes", "it is lost"])
async def test_price_feed_removes_a_subscriber_that_leaves(departure: str) -> None:
    async with connect(price_feed.app, "/prices", price_feed.subscribe.contract) as subscriber:
        await subscriber.expect(price_feed.Tick)
        assert len(price_feed.subscribers) == 1
        if departure == "it is lost":
            subscriber.lose()
            await settle()
            assert len(price_feed.subscribers) == 0
    assert len(price_feed.subscribers) == 0


# --- upload ---

FILE: Final = bytes(range(256)) * 600
DIGEST: Final = sha256(FILE).hexdigest()
UploadConnection = TestConnection[upload.ServerMessage, upload.ClientMessage]


def connect_to_upload() -> TestConnecting[upload.ServerMessage, upload.ClientMessage]:
    return connect(upload.app, "/upload", upload.upload.contract)


async def send_file(ws: UploadConnection, digest: str) -> None:
    await ws.send_model(upload.Begin(name="all.bin", size=len(FILE)))
    for start in range(0, len(FILE), upload.MAX_FRAME):
        content = FILE[start : start + upload.MAX_FRAME]
        await ws.send_bytes(content)
        await ws.expect(upload.Progress, received=start + len(content), size=len(FILE))
    await ws.send_model(upload.Done(sha256=digest))


async def test_upload_reports_its_progress_and_accepts_several_files() -> None:
    async with connect_to_upload() as ws:
        for _ in range(2):
            await send_file(ws, DIGEST)
            await ws.expect(upload.Stored, name="all.bin", sha256=DIGEST)


async def test_upload_closes_on_a_wrong_digest() -> None:
    async with connect_to_upload() as ws:
        await send_file(ws, "0" * 64)
        await ws.expect_close(upload.UploadClose.DAMAGED, "what came is not what was announced")


async def test_upload_closes_if_no_message_arrives() -> None:
    async with connect_to_upload() as ws:
        await ws.send_model(upload.Begin(name="all.bin", size=9))
        await advance_clock(62)
        await ws.expect_close(3008)


BEGIN: Final = upload.Begin(name="a", size=9)
DONE: Final = upload.Done(sha256="")


@pytest.mark.parametrize(
    ("messages", "end"),
    [
        pytest.param([upload.Begin(name="a", size=10_000_001)], upload.UploadClose.TOO_LARGE, id="a large file"),
        pytest.param([BEGIN, b"0" * 10, DONE], upload.UploadClose.DAMAGED, id="more"),
        pytest.param([upload.Begin(name="a", size=99_999), b"0" * 65_537], 1009, id="a large frame"),
        pytest.param([BEGIN, DONE], 1003, id="less"),
        pytest.param([BEGIN.model_copy(update={"size": -1})], 1007, id="an invalid size"),
        pytest.param([b"0"], 1003, id="content before its name"),
    ],
)
async def test_upload_closes_on_invalid_messages(messages: list[Any], end: int) -> None:
    async with connect_to_upload() as ws:
        for message in messages:
            await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_model(message))
        async for _ in ws:
            pass
        assert end_of(ws)[0] == end
