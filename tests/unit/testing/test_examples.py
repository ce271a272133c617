"""The examples, in process: their conversations, typed by their own models and contracts, their time limits at once."""

from hashlib import sha256
from typing import Any, Final, Never

import pytest

from examples import auth_chat, chat, fastapi_chat, first_message, price_feed, upload
from tests.unit.testing.rows import end_of
from typedws import ErrorReply
from typedws.testing import TestConnecting, TestConnection, advance_clock, connect, settle

pytestmark = pytest.mark.anyio

# --- auth_chat ---

BEARER: Final = {"Authorization": "Bearer token-of-ann"}
MARKED: Final = ("bearer", "token-of-bob")
Chatting = TestConnecting[auth_chat.ServerMessage, auth_chat.ClientMessage]


def chatting_as_ann(*subprotocols: str) -> Chatting:
    return connect(auth_chat.app, "/chat/lobby", auth_chat.chat, headers=BEARER, subprotocols=subprotocols)


def chatting_as_bob(*subprotocols: str) -> Chatting:
    return connect(auth_chat.app, "/chat/lobby", auth_chat.chat, subprotocols=[*MARKED, *subprotocols])


async def test_auth_chat_lets_each_member_speak_its_own_mode() -> None:
    async with chatting_as_ann("chat.v1.json") as ann, chatting_as_bob("chat.v1.msgpack") as bob:
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
        pytest.param(BEARER, ["chat.v2.json"], 400, id="in a version that is not spoken"),
        pytest.param({**BEARER, "Origin": "https://evil.example"}, [], 403, id="from elsewhere"),
    ],
)
async def test_auth_chat_denies_a_stranger(headers: dict[str, str], subprotocols: list[str], status: int) -> None:
    connecting = connect(auth_chat.app, "/chat/lobby", auth_chat.chat, headers=headers, subprotocols=subprotocols)
    denied = await connecting.expect_denied(status)
    assert denied.problem is not None
    assert ("www-authenticate" in denied.headers) is (status == 401)


async def test_auth_chat_answers_the_marker_of_a_token_where_nothing_else_is_offered() -> None:
    async with chatting_as_bob() as bob:
        assert bob.subprotocol == "bearer"
        await bob.send_model(auth_chat.Say(text="hello"))
        await bob.expect(auth_chat.Said, text="hello", by="bob")


async def test_auth_chat_closes_with_its_own_code_and_description() -> None:
    async with chatting_as_ann() as ann:
        await ann.send_model(auth_chat.Say(text="HELLO"))
        await ann.expect_close(auth_chat.ChatClose.SHOUTED, "no shouting here")


async def test_auth_chat_knows_its_rooms() -> None:
    denied = await connect(auth_chat.app, "/chat/attic", auth_chat.chat, headers=BEARER).expect_denied(422)
    assert b'[{"name":"room","problem":"literal_error"}]' in denied.body


# --- chat ---


def entering(name: str) -> TestConnecting[chat.ServerMessage, chat.ClientMessage]:
    return connect(chat.app, f"/chat/lobby?name={name}&token=sesame", chat.chat.contract)


async def test_chat_tells_all_and_answers_what_it_does_not_understand() -> None:
    async with entering("ann") as ann, entering("bob") as bob:
        await ann.send_model(chat.Join())
        await ann.expect(chat.Joined, room="lobby")
        await ann.send_json({"type": "say", "txt": "hello"})
        await ann.expect(ErrorReply, problem="invalid")
        await ann.send_model(chat.Say(text="hello"))
        for each in (ann, bob):
            await each.expect(chat.Said, text="hello", by="ann")
        await bob.expect_nothing()


async def test_chat_denies_who_does_not_know_the_word() -> None:
    denied = await connect(chat.app, "/chat/lobby?name=bob", chat.chat.contract).expect_denied(401)
    assert denied.problem is not None
    assert denied.problem.detail == "token missing or wrong"


# --- fastapi_chat ---


def entering_fastapi(token: str) -> TestConnecting[fastapi_chat.Said, fastapi_chat.Say]:
    return connect(fastapi_chat.app, f"/chat/garden?token={token}", fastapi_chat.chat)


async def test_fastapi_chat_knows_who_speaks_and_keeps_each_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi_chat, "history", [])
    async with entering_fastapi("token-of-ann") as ann, entering_fastapi("token-of-bob") as bob:
        for each, name in ((ann, "ann"), (bob, "bob")):
            await each.send_model(fastapi_chat.Say(text="hello"))
            for member in (ann, bob):
                await member.expect(fastapi_chat.Said, text="hello", by=name)
    assert fastapi_chat.history == [("garden", "ann", "hello"), ("garden", "bob", "hello")]


async def test_fastapi_chat_denies_a_stranger() -> None:
    await entering_fastapi("guess").expect_denied(401)


# --- first_message ---


def greeting() -> TestConnecting[first_message.ServerMessage, first_message.ClientMessage]:
    return connect(first_message.app, "/chat", first_message.talk.contract)


def token_of(name: str) -> dict[str, str]:
    return {"type": "auth", "token": f"token-of-{name}"}


async def test_first_message_tells_a_stranger_nothing() -> None:
    async with greeting() as stranger, greeting() as ann:
        await ann.send_json(token_of("ann"))
        await ann.expect(first_message.Welcome, name="ann")
        await ann.send_model(first_message.Rename(name="anna"))
        await ann.send_model(first_message.Say(text="hello"))
        await ann.expect(first_message.Said, text="hello", by="anna")
        await stranger.expect_nothing()
        await stranger.send_json(token_of("bob"))
        await stranger.expect(first_message.Welcome, name="bob")


@pytest.mark.parametrize(
    ("first", "end", "reason"),
    [
        pytest.param({"type": "say", "text": "hello"}, "AUTH_EXPECTED", "expected an auth message first", id="another"),
        pytest.param({"type": "auth"}, "AUTH_EXPECTED", "expected an auth message first", id="no token"),
        pytest.param({"type": "auth", "token": "guess"}, "WRONG_TOKEN", "the token is unknown", id="a wrong token"),
    ],
)
async def test_first_message_closes_when_it_hears(first: dict[str, str], end: str, reason: str) -> None:
    async with greeting() as stranger:
        await stranger.send_json(first)
        await stranger.expect_close(first_message.ChatClose[end], reason)


async def test_first_message_closes_on_silence() -> None:
    async with greeting() as stranger:
        await advance_clock(first_message.AUTH_TIMEOUT - 1)
        await stranger.expect_nothing()
        await advance_clock(1)
        await stranger.expect_close(first_message.ChatClose.AUTH_EXPECTED)


async def test_first_message_hears_no_second_auth() -> None:
    async with greeting() as ann:
        await ann.send_json(token_of("ann"))
        await ann.expect(first_message.Welcome)
        await ann.send_json(token_of("ann"))
        assert "token-of-ann" not in (await ann.expect_close(1007)).reason


# --- price_feed ---


async def hears_every_price(subscriber: TestConnection[price_feed.Tick, Never]) -> None:
    for symbol in price_feed.newest:
        await subscriber.expect(price_feed.Tick, symbol=symbol)


async def test_price_feed_gives_newcomers_every_price() -> None:
    async with connect(price_feed.subscribe) as one, connect(price_feed.subscribe) as other:  # no market moves
        for subscriber in (one, other):
            await hears_every_price(subscriber)
            await subscriber.expect_nothing()


async def test_price_feed_tells_what_changes() -> None:
    async with connect(price_feed.app, "/prices", price_feed.subscribe.contract) as subscriber:
        await advance_clock(10 * price_feed.PAUSE)
        for _ in range(10):  # those that there were, and more
            await subscriber.expect(price_feed.Tick)


async def test_price_feed_skips_old_prices_for_who_does_not_read_and_none_for_who_does() -> None:
    async with connect(price_feed.subscribe) as slow, connect(price_feed.subscribe) as quick:
        for subscriber in (slow, quick):
            await hears_every_price(subscriber)
        slow.stop_reading()
        for price in (1.0, 2.0, 3.0):
            await price_feed.subscribers.send(price_feed.Tick(symbol="HOOLI", price=price))
            await quick.expect(price_feed.Tick, price=price)
        slow.read_again()
        for price in (1.0, 3.0):  # the first was on its way
            await slow.expect(price_feed.Tick, price=price)
        await slow.expect_nothing()


@pytest.mark.parametrize("how", ["it closes", "it is lost"])
async def test_price_feed_lets_go_of_a_subscriber_that_leaves(how: str) -> None:
    async with connect(price_feed.app, "/prices", price_feed.subscribe.contract) as subscriber:
        await subscriber.expect(price_feed.Tick)
        assert len(price_feed.subscribers) == 1
        if how == "it is lost":
            subscriber.lose()
            await settle()
            assert len(price_feed.subscribers) == 0
    assert len(price_feed.subscribers) == 0


# --- upload ---

FILE: Final = bytes(range(256)) * 600
DIGEST: Final = sha256(FILE).hexdigest()
Uploading = TestConnection[upload.ServerMessage, upload.ClientMessage]


def uploading() -> TestConnecting[upload.ServerMessage, upload.ClientMessage]:
    return connect(upload.app, "/upload", upload.upload.contract)


async def send_file(ws: Uploading, digest: str) -> None:
    await ws.send_model(upload.Begin(name="all.bin", size=len(FILE)))
    for start in range(0, len(FILE), upload.MAX_FRAME):
        content = FILE[start : start + upload.MAX_FRAME]
        await ws.send_bytes(content)
        await ws.expect(upload.Progress, received=start + len(content), size=len(FILE))
    await ws.send_model(upload.Done(sha256=digest))


async def test_upload_tells_its_progress_and_takes_one_file_after_the_other() -> None:
    async with uploading() as ws:
        for _ in range(2):
            await send_file(ws, DIGEST)
            await ws.expect(upload.Stored, name="all.bin", sha256=DIGEST)


async def test_upload_refuses_another_digest() -> None:
    async with uploading() as ws:
        await send_file(ws, "0" * 64)
        await ws.expect_close(upload.UploadClose.DAMAGED, "what came is not what was announced")


async def test_upload_closes_on_silence() -> None:
    async with uploading() as ws:
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
        pytest.param([BEGIN.model_copy(update={"size": -1})], 1007, id="a size that is none"),
        pytest.param([b"0"], 1003, id="content before its name"),
    ],
)
async def test_upload_closes_when_it_hears(messages: list[Any], end: int) -> None:
    async with uploading() as ws:
        for message in messages:
            await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_model(message))
        async for _ in ws:
            pass
        assert end_of(ws)[0] == end
