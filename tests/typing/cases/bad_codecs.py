"""Codecs and registries: methods that do not fit the frame, and arguments of the wrong type."""

from tests.typing.cases.messages import ChatConnection, Join, Order, RushOrder, Say
from typedws import BinaryJSON, Codec, CodecRegistry, TextJSON, registry
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws.codecs import AnyCodec, Mode


class WritesTheWrongFrame(Codec[str]):
    """A codec that fills text frames with bytes."""

    def encode(self, value: object) -> bytes:  # error: encode bytes
        return str(value).encode()

    def decode(self, data: str) -> object:
        return data


class ReadsTheWrongFrame(Codec[bytes]):
    """A codec that reads text from binary frames."""

    def encode(self, value: object) -> bytes:
        return str(value).encode()

    def decode(self, data: str) -> object:  # error: decode bytes
        return data


class WritesOrdersOnly(Codec[str]):
    """A codec that does not take every value."""

    name = 7  # error: str
    kind = "xml"  # error: xml binary

    def encode(self, value: Order) -> str:  # error: encode object
        return value.model_dump_json()

    def decode(self, data: str) -> Order:
        return Order.model_validate_json(data)


class Hexadecimal(Codec[str]):
    """A valid codec."""

    name = "hexadecimal"
    kind = "text"

    def encode(self, value: object) -> str:
        return format(int(str(value)), "x")

    def decode(self, data: str) -> int:
        return int(data, 16)


class Of(Codec[int]): ...  # error: Codec int


def of_frames(text: TextJSON, binary: BinaryJSON, own: Hexadecimal) -> None:
    data: bytes = text.encode(Order())  # error: str bytes
    line: str = binary.encode(Order())  # error: bytes str
    number: str = own.decode("ff")  # error: int str
    print(data, line, number)
    own.decode(b"ff")  # error: decode str
    binary.decode("{}")  # error: decode bytes
    text.kind = "xml"  # error: xml binary
    text.name = Order()  # error: Order str


def of_models(text: TextJSON, orders: MessageAdapter[Order], rush: MessageAdapter[RushOrder]) -> None:
    text.encode_model(Order(), rush)  # error: encode_model
    text.encode_model(Order(), adapter=Order)  # error: encode_model Order MessageAdapter
    text.encode_model(adapter=orders)  # error: message
    join: Join = text.decode_model("{}", orders)  # error: Order Join
    text.decode_model(b"{}", orders)  # error: decode_model str
    text.encoder(orders)(Say())  # error: Say Order
    text.encoder(Order)  # error: encoder Order MessageAdapter
    text.decoder(orders)(b"{}")  # error: str
    text.decoder(Order)  # error: decoder Order MessageAdapter
    say: Say = text.decoder(adapter_for(Join))("{}")  # error: Join Say
    print(join, say)


def of_makers(text: TextJSON, binary: BinaryJSON, orders: MessageAdapter[Order]) -> None:
    text.model_encoder(orders)(Say())  # error: Say Order
    text.model_encoder(adapter=Order)  # error: model_encoder Order MessageAdapter
    binary.model_decoder(orders)("{}")  # error: bytes
    binary.model_decoder(Order)  # error: model_decoder Order MessageAdapter
    binary.quick_decoder(orders).decode("{}")  # error: bytes
    binary.quick_decoder(Order)  # error: quick_decoder Order MessageAdapter
    text.quick_encoders(adapter=Order)  # error: quick_encoders Order MessageAdapter
    text.decode_or_refuse(b"{}", "orders")  # error: decode_or_refuse str
    text.decode_or_refuse("{}", expected=Order)  # error: decode_or_refuse Order str
    text.encode()  # error: value


def constructors() -> None:
    TextJSON(name=7)  # error: str
    TextJSON("orders", True)  # error: argument
    TextJSON(exact_integers=Order())  # error: Order bool
    BinaryJSON(name=Order())  # error: Order str
    BinaryJSON(exact_integers="yes")  # error: bool
    BinaryJSON(exact_integers=Order())  # error: Order bool
    Codec()  # error: Codec


def registries(own: CodecRegistry) -> None:
    own.register(mode=7, codec=TextJSON())  # error: register str
    own.register("orders", codec=Order())  # error: register Order
    own.register("orders", TextJSON)  # error: register type[TextJSON]
    own.register("orders", TextJSON(), replace="yes")  # error: register bool
    own.register("orders", TextJSON(), True)  # error: argument
    own.register("orders")  # error: codec
    own.register_extra(mode=7, codec_class="orders:Orders", extra="orders")  # error: register_extra str
    own.register_extra("orders", codec_class=TextJSON, extra="orders")  # error: register_extra type[TextJSON]
    own.register_extra("orders", "orders:Orders", extra=None)  # error: register_extra None
    own.register_extra("orders", "orders:Orders", extra="orders", replace="yes")  # error: register_extra bool
    own.get(mode=7)  # error: get str
    own.get(Order())  # error: get Order
    own.get()  # error: mode
    codec: TextJSON = own.get("text")  # error: Codec TextJSON
    name: TextJSON = next(iter(own))  # error: str TextJSON
    other: TextJSON = own.copy()  # error: CodecRegistry TextJSON
    print(codec, name, other, own["text"])  # error: CodecRegistry
    CodecRegistry({"text": TextJSON()})  # error: argument
    registry.copy("text")  # error: argument


async def modes(ws: ChatConnection) -> None:
    mode: Mode = Order()  # error: Order
    codec: AnyCodec = "text"  # error: Codec
    print(mode, codec)
    await ws.receive_model(Join, mode=WritesTheWrongFrame)  # error: receive_model WritesTheWrongFrame
