"""The documents of contracts, models and applications: which facts they have, and where."""

import json
from typing import Annotated, Any, Literal, Never

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from examples import auth_chat, chat, first_message, price_feed, upload
from tests.conformance.schemas import BEARER, CASES, HardClose, Place, hard_app
from typedws import App, Codec, Connection, Contract, ErrorReply, Policy, ProblemDocument
from typedws._schema.traversal import subschemas
from typedws.schema import COMMENT, contract_document, model_document, text_of
from typedws.schema.draft07 import as_draft_07

APPS = [hard_app(), *(module.app for module in (auth_chat, chat, first_message, price_feed, upload))]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Join(BaseModel):
    """Come in.

    And stay.
    """

    type: Literal["join"] = "join"


class Say(BaseModel):
    type: Literal["say"] = "say"
    text: str


class Room(BaseModel):
    room: str


ClientMessage = Annotated[Join | Say, Field(discriminator="type")]
ServerMessage = Annotated[Say | ErrorReply, Field(discriminator="type")]


async def talk(ws: Any) -> None:
    """Talk about anything."""


def served(contract: Any, path: str = "/chat", **more: Any) -> Any:
    """Return the document of an application with one endpoint."""
    app = App()
    app.websocket(path, contract, **more)(talk)
    return app.asyncapi()


def channel(contract: Any, path: str = "/chat", **more: Any) -> Any:
    [only] = served(contract, path, **more)["channels"].values()
    return only


# --- a contract ---


def test_the_document_of_a_contract_has_all_that_a_client_must_know() -> None:
    chat = Contract(
        "chat",
        Connection[ClientMessage, ServerMessage, Place],
        version="2.1.0",
        title="Chat",
        description="For all.",
        modes=("text", "msgpack"),
        closes=HardClose,
    )
    document: Any = contract_document(chat)
    assert document == {
        "$comment": COMMENT,
        "$defs": document["$defs"],
        "$schema": DIALECT,
        "closes": [
            {"code": 4001, "name": "KICKED", "description": "removed by a moderator", "reconnect": "never"},
            {"code": 4002, "name": "MOVED", "description": "the room moved", "reconnect": "resume"},
        ],
        "contract": "chat",
        "description": "For all.",
        "error": {"$ref": "#/$defs/ErrorReply"},
        "fingerprint": chat.fingerprint,
        "clientMessages": {
            "discriminator": {"mapping": {"join": "#/$defs/Join", "say": "#/$defs/Say"}, "propertyName": "type"},
            "oneOf": [{"$ref": "#/$defs/Join"}, {"$ref": "#/$defs/Say"}],
        },
        "modes": [
            {"subprotocol": "chat.v2.json", "mode": "text", "frame": "text", "contentType": "application/json"},
            {
                "subprotocol": "chat.v2.msgpack",
                "mode": "msgpack",
                "frame": "binary",
                "contentType": "application/vnd.msgpack",
            },
        ],
        "params": {
            "query": {
                "type": "object",
                "properties": {
                    "room": {"description": "which room", "enum": ["lobby", "garden"], "type": "string"},
                    "id": {"type": "integer"},
                    "page": {"default": 1, "minimum": 1, "type": "integer"},
                    "colour": {"$ref": "#/$defs/Colour", "default": "red"},
                },
                "required": ["room", "id"],
            },
            "headers": {"type": "object", "properties": {"x-tenant": {"type": "string"}}, "required": ["x-tenant"]},
            "cookies": {"type": "object", "properties": {"session": {"default": "", "type": "string"}}},
        },
        "serverMessages": {
            "discriminator": {"mapping": {"error": "#/$defs/ErrorReply", "say": "#/$defs/Say"}, "propertyName": "type"},
            "oneOf": [{"$ref": "#/$defs/Say"}, {"$ref": "#/$defs/ErrorReply"}],
        },
        "title": "Chat",
        "version": "2.1.0",
    }


def test_the_document_of_a_contract_has_only_the_definitions_that_it_refers_to() -> None:
    document = contract_document(Contract("chat", Connection[ClientMessage, ServerMessage, Place]))
    assert set(document["$defs"]) == {"Colour", "ErrorReply", "FieldProblem", "Join", "Say"}


@pytest.mark.parametrize(
    ("connection", "client_messages", "server_messages"),
    [
        (Connection[Never, str], False, {"type": "string"}),
        (Connection[str, Never], {"type": "string"}, False),
        (Connection, True, True),
        (Connection[list[Join], None], {"type": "array", "items": {"$ref": "#/$defs/Join"}}, {"type": "null"}),
    ],
)
def test_a_direction_may_have_any_message_type_or_no_messages(
    connection: Any, client_messages: Any, server_messages: Any
) -> None:
    document = contract_document(Contract("chat", connection))
    assert (document["clientMessages"], document["serverMessages"]) == (client_messages, server_messages)


def test_a_contract_made_of_an_annotation_has_a_mode_and_no_subprotocol() -> None:
    document = contract_document(Contract[Any, Any, Any].unnamed("talk", Connection[str, str]))
    assert document["modes"] == [{"mode": "text", "frame": "text", "contentType": "application/json"}]
    assert not {"closes", "title", "description", "error", "params", "$defs"} & document.keys()


def test_a_custom_codec_without_a_media_type_has_no_content_type() -> None:
    class Lines(Codec[str]):
        name, kind = "lines", "text"

        def encode(self, value: object) -> str:
            return str(value)

        def decode(self, data: str) -> Any:
            return data

    document = contract_document(Contract("chat", Connection[str, str], modes=(Lines(),)))
    assert document["modes"] == [{"subprotocol": "chat.v1.lines", "mode": "lines", "frame": "text"}]
    assert "contentType" not in channel(Contract("chat", Connection[str, str], modes=(Lines(),)))["messages"]["string"]


def test_the_document_of_a_model_describes_it_as_it_is_sent() -> None:
    document = model_document(ErrorReply)
    assert document["required"] == ["type", "problem", "detail", "errors"]
    assert list(document["$defs"]) == ["FieldProblem"]
    assert model_document(ProblemDocument)["required"] == ["type", "title", "status"]


def test_parameters_that_forbid_additional_fields_forbid_them_in_the_query() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        page: int = 1

    document = contract_document(Contract("chat", Connection[str, str, Strict]))
    assert document["params"]["query"]["additionalProperties"] is False


def test_parameters_that_are_a_union_stay_one_schema() -> None:
    document = contract_document(Contract("chat", Connection[str, str, Room | Join]))
    query = document["params"]["query"]
    assert query["allOf"] == [{"anyOf": [{"$ref": "#/$defs/Room"}, {"$ref": "#/$defs/Join"}]}]
    binding = channel(Contract("chat", Connection[str, str, Room | Join]))["bindings"]["ws"]
    assert binding["query"]["properties"] == {}


# --- an application ---


def test_the_document_of_an_application_has_its_info_and_servers() -> None:
    app = App(
        title="Chat",
        version="3.0.0",
        description="For all.",
        servers={"here": "ws://127.0.0.1:8000", "there": "wss://chat.example.com/api"},
    )
    assert app.asyncapi() == {
        "asyncapi": "3.1.0",
        "defaultContentType": "application/json",
        "info": {"title": "Chat", "version": "3.0.0", "description": "For all."},
        "servers": {
            "here": {"host": "127.0.0.1:8000", "protocol": "ws"},
            "there": {"host": "chat.example.com", "pathname": "/api", "protocol": "wss"},
        },
        "components": {"schemas": {"ProblemDocument": as_draft_07(_without_meta(model_document(ProblemDocument)))}},
        "x-comment": COMMENT,
    }


def _without_meta(document: Any) -> Any:
    return {word: value for word, value in document.items() if word not in ("$comment", "$schema")}


def test_an_application_receives_client_messages_and_sends_server_messages() -> None:
    document = served(Contract("chat", Connection[ClientMessage, ServerMessage]))
    messages = "#/channels/chat/messages"
    assert document["operations"] == {
        "chat.receive": {
            "action": "receive",
            "channel": {"$ref": "#/channels/chat"},
            "messages": [{"$ref": f"{messages}/Join"}, {"$ref": f"{messages}/Say"}],
        },
        "chat.send": {
            "action": "send",
            "channel": {"$ref": "#/channels/chat"},
            "messages": [{"$ref": f"{messages}/Say"}, {"$ref": f"{messages}/ErrorReply"}],
        },
    }
    assert document["channels"]["chat"]["messages"]["Say"] == {
        "name": "Say",
        "title": "Say",
        "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/Say"},
        "examples": [{"payload": {"type": "say", "text": "text"}}],
    }
    assert document["channels"]["chat"]["messages"]["Join"]["summary"] == "Come in."


@pytest.mark.parametrize(
    ("connection", "actions"),
    [(Connection[Never, Say], ["send"]), (Connection[Say, Never], ["receive"]), (Connection, ["receive", "send"])],
)
def test_a_direction_without_messages_has_no_operation(connection: Any, actions: list[str]) -> None:
    operations = served(Contract("chat", connection))["operations"]
    assert [each["action"] for each in operations.values()] == actions


def test_the_error_reply_is_in_the_document_only_if_the_policy_replies() -> None:
    def error_reply(of_app: Policy, of_endpoint: Policy | None) -> Any:
        app = App(policy=of_app)
        app.websocket("/chat", Contract("chat", Connection[ClientMessage, ServerMessage]), policy=of_endpoint)(talk)
        return app.asyncapi()["channels"]["chat"].get("x-error-reply")

    reply = Policy(on_invalid="reply")
    assert error_reply(reply, None) == error_reply(Policy(), reply) == {"$ref": "#/channels/chat/messages/ErrorReply"}
    assert error_reply(Policy(), None) is error_reply(reply, Policy()) is None


def test_a_channel_describes_the_handshake() -> None:
    chat = Contract("chat", Connection[Say, Say, Place], closes=HardClose, modes=("text", "cbor"))
    described = channel(chat, "/chat/{room}/{id:int}/{other}", security=BEARER)
    assert described["address"] == "/chat/{room}/{id}/{other}"
    assert described["parameters"] == {
        "room": {
            "description": "which room",
            "enum": ["lobby", "garden"],
            "x-schema": {"description": "which room", "enum": ["lobby", "garden"], "type": "string"},
        },
        "id": {"description": "a non-negative integer of at most 640 digits", "x-schema": {"type": "integer"}},
        "other": {"description": "text without a slash, not empty"},
    }
    assert described["bindings"] == {
        "ws": {
            "bindingVersion": "0.1.0",
            "method": "GET",
            "query": {
                "type": "object",
                "properties": {
                    "page": {"default": 1, "minimum": 1, "type": "integer"},
                    "colour": {"allOf": [{"$ref": "#/components/schemas/Colour"}], "default": "red"},
                },
            },
            "headers": {
                "type": "object",
                "properties": {
                    "x-tenant": {"type": "string"},
                    "Cookie": {"type": "string", "description": "holds session"},
                },
                "required": ["x-tenant"],
            },
        }
    }
    assert described["x-cookies"] == {"type": "object", "properties": {"session": {"default": "", "type": "string"}}}
    assert described["x-contract"] == {"name": "chat", "version": "1.0.0", "fingerprint": chat.fingerprint}
    assert described["x-subprotocols"]["chat.v1.cbor"] == {
        "mode": "cbor",
        "frame": "binary",
        "contentType": "application/cbor",
    }
    assert described["x-close-codes"] == {
        "4001": {"name": "KICKED", "description": "removed by a moderator", "reconnect": "never"},
        "4002": {"name": "MOVED", "description": "the room moved", "reconnect": "resume"},
    }
    assert list(described["x-denials"]) == ["400", "401", "403", "422", "500", "503"]


def test_the_query_requires_its_own_parameters_and_not_those_of_the_path() -> None:
    class Both(BaseModel):
        room: str
        page: int

    binding = channel(Contract("chat", Connection[Say, Say, Both]), "/{room}")["bindings"]["ws"]
    assert binding["query"] == {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}


def test_the_channel_of_an_annotation_alone_has_few_fields() -> None:
    app = App()

    @app.websocket("/chat")
    async def chat(ws: Connection[Say, Say]) -> None:
        """Echo."""

    described: Any = app.asyncapi()["channels"]["chat"]
    assert described["description"] == "Echo."
    assert described["bindings"] == {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
    assert list(described["x-denials"]) == ["400", "403", "500", "503"]
    assert not {"title", "parameters", "x-subprotocols", "x-close-codes", "x-cookies"} & described.keys()


def test_different_security_schemes_with_the_same_name_stay_two() -> None:
    app = App()
    chat = Contract("chat", Connection[Say, Say])
    query: Any = {"token": {"type": "httpApiKey", "name": "token", "in": "query"}}
    app.websocket("/a", chat, security=BEARER)(talk)
    app.websocket("/b", chat, security=query)(talk)
    app.websocket("/c", chat, security=BEARER)(talk)
    document: Any = app.asyncapi()
    schemes = document["components"]["securitySchemes"]
    assert sorted(schemes.values(), key=str) == sorted([BEARER["token"], query["token"]], key=str)
    named = {name: operation["security"] for name, operation in document["operations"].items()}
    assert named["chat-a.receive"] == named["chat-a.send"] == named["chat-c.send"] != named["chat-b.send"]
    assert document["channels"]["chat-a"]["x-denials"]["401"]["description"] == "no valid credentials"


def test_channels_that_share_a_name_are_named_with_version_or_address() -> None:
    def named(*served: tuple[str, str]) -> list[str]:
        app = App()
        for path, version in served:
            app.websocket(path, Contract("chat", Connection[Say, Say], version=version))(talk)
        return list(app.asyncapi()["channels"])

    assert named(("/a", "1.0.0")) == ["chat"]
    assert named(("/a", "1.0.0"), ("/a", "2.0.0")) == ["chat-1.0.0", "chat-2.0.0"]
    assert named(("/a", "1.0.0"), ("/{b}", "1.0.0")) == ["chat-a", "chat-_b_"]
    assert named(("/a", "1.0.0"), ("/a", "2.0.0"), ("/b", "2.0.0")) == ["chat-1.0.0", "chat-a", "chat-b"]


def test_messages_that_are_not_models_are_named_by_their_type() -> None:
    def named(form: Any) -> list[str]:
        connection: Any = Connection
        return list(channel(Contract("chat", connection[form, form]))["messages"])

    class Keys(TypedDict):
        n: int

    assert named(str) == ["string"]
    assert named(list[Join]) == ["array-of-Join-Input", "array-of-Join-Output"]
    assert named(Join | None) == ["Join-Input", "null", "Join-Output"]
    assert named(Keys | int) == ["Keys", "integer"]
    assert named(Any) == ["any"]
    assert named(tuple[int, str]) == ["array"]


def test_a_message_that_differs_by_direction_is_two_messages() -> None:
    numbers = Contract("numbers", Connection[dict[int, float], dict[int, Annotated[float, Field(ge=0)]]])
    assert list(channel(numbers)["messages"]) == ["object-Input", "object-Output"]


def test_in_draft_07_a_tuple_has_items_and_a_reference_has_no_siblings() -> None:
    converted = as_draft_07(
        {
            "prefixItems": [{"$ref": "#/a", "title": "A"}, {"type": "integer"}],
            "items": {"type": "string"},
            "discriminator": {"propertyName": "type"},
        }
    )
    assert converted == {
        "items": [{"title": "A", "allOf": [{"$ref": "#/a"}]}, {"type": "integer"}],
        "additionalItems": {"type": "string"},
    }
    both = as_draft_07({"$ref": "#/a", "allOf": [{"type": "object"}]})
    assert both == {"allOf": [{"$ref": "#/a"}, {"type": "object"}]}


def test_every_reference_of_the_hard_application_has_a_definition() -> None:
    document = hard_app().asyncapi()
    schemas = document["components"]["schemas"]
    refs = {part["$ref"] for schema in schemas.values() for part in subschemas(schema) if "$ref" in part}
    assert refs
    assert refs <= {f"#/components/schemas/{name}" for name in schemas}
    assert len(document["channels"]) == len(CASES) + 5


@pytest.mark.parametrize("app", APPS)
def test_every_example_is_valid(app: App) -> None:
    document = app.asyncapi()
    count = 0
    for each in document["channels"].values():
        for message in each["messages"].values():
            check: Any = Draft7Validator({"allOf": [message["payload"]], "components": document["components"]})
            for example in message.get("examples", ()):
                check.validate(example["payload"])
                count += 1
    assert count


# --- text ---


def test_text_has_sorted_keys_except_for_fields_and_data() -> None:
    document: Any = {
        "b": 1,
        "a": {"properties": {"z": {"type": "x", "items": {}}, "y": {}}, "default": {"d": 1, "c": 2}},
    }
    text = text_of(document)
    assert json.loads(text) == document
    order = [text.index(f'"{name}"') for name in "a default d c properties z items type y b".split()]
    assert order == sorted(order)
    assert text.endswith("}\n")


def test_text_has_non_ascii_characters_unescaped() -> None:
    assert "é" in text_of({"é": "é"})
