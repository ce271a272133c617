"""Custom codecs, registries, and modes: a name or a codec."""

from collections.abc import Callable
from typing import Any, TypeVar, assert_type

from tests.typing.cases.messages import ClientMessage, Join, Order, Say, ServerMessage
from typedws import BinaryJSON, Codec, CodecRegistry, TextJSON, WebSocket, registry
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws.asgi import Receive, Scope, Send
from typedws.codecs import AnyCodec, FrameKind, Mode

T = TypeVar("T")


class Hexadecimal(Codec[str]):
    """A codec of text frames, as in the docs."""

    name = "hexadecimal"
    kind = "text"

    def encode(self, value: object) -> str:
        return format(int(str(value)), "x")

    def decode(self, data: str) -> int:
        return int(data, 16)


class Packed(Codec[bytes]):
    """A codec of binary frames that overrides everything that may be overridden."""

    kind: FrameKind = "binary"

    def __init__(self, name: str) -> None:
        self.name = name

    def encode(self, value: object) -> bytes:
        return str(value).encode()

    def decode(self, data: bytes) -> Any:
        return data.decode()

    def encode_model(self, message: T, adapter: MessageAdapter[T]) -> bytes:
        return self.encode(adapter.to_plain(message))

    def decode_model(self, data: bytes, adapter: MessageAdapter[T]) -> T:
        return adapter.from_plain(self.decode(data), self.name)

    def model_encoder(self, adapter: MessageAdapter[T]) -> Callable[[T], bytes]:
        return super().model_encoder(adapter)

    def model_decoder(self, adapter: MessageAdapter[T]) -> Callable[[bytes], T]:
        return super().model_decoder(adapter)


def frames(text: TextJSON, binary: BinaryJSON, hexadecimal: Hexadecimal) -> None:
    assert_type(text.encode(Order()), str)
    assert_type(binary.encode(Order()), bytes)
    assert_type(hexadecimal.encode(255), str)
    assert_type(hexadecimal.decode("ff"), int)
    assert_type(text.decode("1"), Any)
    assert_type(text.kind, FrameKind)
    assert_type(text.name, str)


def models(text: TextJSON, packed: Packed, adapter: MessageAdapter[Order]) -> None:
    assert_type(text.encode_model(Order(), adapter), str)
    assert_type(text.decode_model("{}", adapter), Order)
    assert_type(text.encoder(adapter), Callable[[Order], str])
    assert_type(packed.decoder(adapter), Callable[[bytes], Order])
    assert_type(packed.decoder(adapter_for(Join | Say))(b""), Join | Say)


def registries() -> None:
    own = registry.copy()
    assert_type(own, CodecRegistry)
    own.register("hex", Hexadecimal())
    own.register(mode="text", codec=Packed("packed"), replace=True)
    own.register_extra("yaml", "package.module:YAML", extra="yaml")
    assert_type(own.get("hex"), AnyCodec)
    assert_type(own.get(Hexadecimal()), AnyCodec)
    assert_type(list(own), list[str])
    assert_type("hex" in own, bool)
    empty: CodecRegistry = CodecRegistry()
    assert_type([mode for mode in empty], list[str])


def modes(scope: Scope, receive: Receive, send: Send, mode: Mode, codec: AnyCodec) -> None:
    WebSocket(scope, receive, send, mode="msgpack")
    WebSocket(scope, receive, send, mode=TextJSON(exact_integers=True))
    WebSocket(scope, receive, send, mode=Hexadecimal())
    WebSocket(scope, receive, send, mode=mode)
    WebSocket(scope, receive, send, mode=codec)
    WebSocket[Any, Any](scope, receive, send, codecs=registry.copy(), max_message_size=1000)
    WebSocket[ClientMessage, ServerMessage](scope, receive=receive, send=send, codecs=CodecRegistry())
    WebSocket(scope=scope, receive=None, send=None, max_message_size=None)
    WebSocket(scope)


async def modes_of_calls(ws: WebSocket, mode: Mode, codec: AnyCodec) -> None:
    await ws.send_model(Order(), mode)
    await ws.send_model(Order(), Hexadecimal())
    await ws.send_json(1, mode=codec)
    assert_type(await ws.receive_model(Order, mode), Order)
    assert_type(await ws.receive_json(BinaryJSON("orders")), Any)
    async for order in ws.iter_models(Order, mode=Packed("packed")):
        assert_type(order, Order)
