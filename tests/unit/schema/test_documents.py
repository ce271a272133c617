"""The documents: what stands where in that of a contract, of a model, of an application."""

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


Hears = Annotated[Join | Say, Field(discriminator="type")]
Says = Annotated[Say | ErrorReply, Field(discriminator="type")]


async def talk(ws: Any) -> None:
    """Talk about anything."""


def served(contract: Any, path: str = "/chat", **more: Any) -> Any:
    """Give the document of an application of one endpoint."""
    app = App()
    app.websocket(path, contract, **more)(talk)
    return app.asyncapi()


def channel(contract: Any, path: str = "/chat", **more: Any) -> Any:
    [found] = served(contract, path, **more)["channels"].values()
    return found


# --- a contract ---


def test_a_contract_says_all_that_a_client_must_know() -> None:
    chat = Contract(
        "chat",
        Connection[Hears, Says, Place],
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


def test_definitions_of_a_contract_are_those_that_it_refers_to() -> None:
    document = contract_document(Contract("chat", Connection[Hears, Says, Place]))
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
def test_a_direction_may_be_of_any_type_or_none(connection: Any, client_messages: Any, server_messages: Any) -> None:
    document = contract_document(Contract("chat", connection))
    assert (document["clientMessages"], document["serverMessages"]) == (client_messages, server_messages)


def test_what_an_annotation_agrees_on_has_a_mode_and_no_subprotocol() -> None:
    document = contract_document(Contract[Any, Any, Any].unnamed("talk", Connection[str, str]))
    assert document["modes"] == [{"mode": "text", "frame": "text", "contentType": "application/json"}]
    assert not {"closes", "title", "description", "error", "params", "$defs"} & document.keys()


def test_a_codec_of_ones_own_has_the_media_type_that_it_says() -> None:
    class Lines(Codec[str]):
        name, kind = "lines", "text"

        def encode(self, value: object) -> str:
            return str(value)

        def decode(self, data: str) -> Any:
            return data

    document = contract_document(Contract("chat", Connection[str, str], modes=(Lines(),)))
    assert document["modes"] == [{"subprotocol": "chat.v1.lines", "mode": "lines", "frame": "text"}]
    assert "contentType" not in channel(Contract("chat", Connection[str, str], modes=(Lines(),)))["messages"]["string"]


def test_the_document_of_a_model_is_its_schema_as_it_is_sent() -> None:
    document = model_document(ErrorReply)
    assert document["required"] == ["type", "problem", "detail", "errors"]
    assert list(document["$defs"]) == ["FieldProblem"]
    assert model_document(ProblemDocument)["required"] == ["type", "title", "status"]


def test_parameters_that_refuse_others_refuse_them_in_the_query() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        page: int = 1

    document = contract_document(Contract("chat", Connection[str, str, Strict]))
    assert document["params"]["query"]["additionalProperties"] is False


def test_parameters_of_several_kinds_stay_as_they_are() -> None:
    document = contract_document(Contract("chat", Connection[str, str, Room | Join]))
    query = document["params"]["query"]
    assert query["allOf"] == [{"anyOf": [{"$ref": "#/$defs/Room"}, {"$ref": "#/$defs/Join"}]}]
    binding = channel(Contract("chat", Connection[str, str, Room | Join]))["bindings"]["ws"]
    assert binding["query"]["properties"] == {}


# --- an application ---


def test_an_application_says_what_it_is_and_where() -> None:
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


def test_it_receives_what_it_hears_and_sends_what_it_says() -> None:
    document = served(Contract("chat", Connection[Hears, Says]))
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
def test_an_operation_without_messages_is_none(connection: Any, actions: list[str]) -> None:
    operations = served(Contract("chat", connection))["operations"]
    assert [each["action"] for each in operations.values()] == actions


def test_what_answers_an_invalid_message_is_told_where_the_policy_says_that_it_does() -> None:
    def told(of_app: Policy, of_endpoint: Policy | None) -> Any:
        app = App(policy=of_app)
        app.websocket("/chat", Contract("chat", Connection[Hears, Says]), policy=of_endpoint)(talk)
        return app.asyncapi()["channels"]["chat"].get("x-error-reply")

    answering = Policy(on_invalid="reply")
    assert told(answering, None) == told(Policy(), answering) == {"$ref": "#/channels/chat/messages/ErrorReply"}
    assert told(Policy(), None) is told(answering, Policy()) is None


def test_a_channel_tells_the_handshake() -> None:
    chat = Contract("chat", Connection[Say, Say, Place], closes=HardClose, modes=("text", "cbor"))
    told = channel(chat, "/chat/{room}/{id:int}/{other}", security=BEARER)
    assert told["address"] == "/chat/{room}/{id}/{other}"
    assert told["parameters"] == {
        "room": {
            "description": "which room",
            "enum": ["lobby", "garden"],
            "x-schema": {"description": "which room", "enum": ["lobby", "garden"], "type": "string"},
        },
        "id": {"description": "an integer from 0, of at most 640 digits", "x-schema": {"type": "integer"}},
        "other": {"description": "text without a slash, not empty"},
    }
    assert told["bindings"] == {
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
    assert told["x-cookies"] == {"type": "object", "properties": {"session": {"default": "", "type": "string"}}}
    assert told["x-contract"] == {"name": "chat", "version": "1.0.0", "fingerprint": chat.fingerprint}
    assert told["x-subprotocols"]["chat.v1.cbor"] == {
        "mode": "cbor",
        "frame": "binary",
        "contentType": "application/cbor",
    }
    assert told["x-close-codes"] == {
        "4001": {"name": "KICKED", "description": "removed by a moderator", "reconnect": "never"},
        "4002": {"name": "MOVED", "description": "the room moved", "reconnect": "resume"},
    }
    assert list(told["x-denials"]) == ["400", "401", "403", "422", "500", "503"]


def test_a_required_query_parameter_is_required_there_and_one_of_the_path_is_not() -> None:
    class Both(BaseModel):
        room: str
        page: int

    binding = channel(Contract("chat", Connection[Say, Say, Both]), "/{room}")["bindings"]["ws"]
    assert binding["query"] == {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]}


def test_an_endpoint_of_an_annotation_alone_has_little_to_tell() -> None:
    app = App()

    @app.websocket("/chat")
    async def chat(ws: Connection[Say, Say]) -> None:
        """Echo."""

    told: Any = app.asyncapi()["channels"]["chat"]
    assert told["description"] == "Echo."
    assert told["bindings"] == {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
    assert list(told["x-denials"]) == ["400", "403", "500", "503"]
    assert not {"title", "parameters", "x-subprotocols", "x-close-codes", "x-cookies"} & told.keys()


def test_security_schemes_of_one_name_stay_two() -> None:
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


def test_channels_that_share_a_name_tell_version_or_address() -> None:
    def named(*served: tuple[str, str]) -> list[str]:
        app = App()
        for path, version in served:
            app.websocket(path, Contract("chat", Connection[Say, Say], version=version))(talk)
        return list(app.asyncapi()["channels"])

    assert named(("/a", "1.0.0")) == ["chat"]
    assert named(("/a", "1.0.0"), ("/a", "2.0.0")) == ["chat-1.0.0", "chat-2.0.0"]
    assert named(("/a", "1.0.0"), ("/{b}", "1.0.0")) == ["chat-a", "chat-_b_"]
    assert named(("/a", "1.0.0"), ("/a", "2.0.0"), ("/b", "2.0.0")) == ["chat-1.0.0", "chat-a", "chat-b"]


def test_messages_that_are_no_models_are_named_by_what_they_are() -> None:
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


def test_a_message_that_is_heard_otherwise_than_said_is_two() -> None:
    numbers = Contract("numbers", Connection[dict[int, float], dict[int, Annotated[float, Field(ge=0)]]])
    assert list(channel(numbers)["messages"]) == ["object-Input", "object-Output"]


def test_in_draft_07_a_tuple_has_items_and_nothing_stands_beside_a_reference() -> None:
    told = as_draft_07(
        {
            "prefixItems": [{"$ref": "#/a", "title": "A"}, {"type": "integer"}],
            "items": {"type": "string"},
            "discriminator": {"propertyName": "type"},
        }
    )
    assert told == {
        "items": [{"title": "A", "allOf": [{"$ref": "#/a"}]}, {"type": "integer"}],
        "additionalItems": {"type": "string"},
    }
    both = as_draft_07({"$ref": "#/a", "allOf": [{"type": "object"}]})
    assert both == {"allOf": [{"$ref": "#/a"}, {"type": "object"}]}


def test_no_reference_of_the_hard_application_leads_nowhere() -> None:
    document = hard_app().asyncapi()
    schemas = document["components"]["schemas"]
    refs = {part["$ref"] for schema in schemas.values() for part in subschemas(schema) if "$ref" in part}
    assert refs
    assert refs <= {f"#/components/schemas/{name}" for name in schemas}
    assert len(document["channels"]) == len(CASES) + 5


@pytest.mark.parametrize("app", APPS)
def test_every_example_is_valid(app: App) -> None:
    document = app.asyncapi()
    tried = 0
    for each in document["channels"].values():
        for message in each["messages"].values():
            check: Any = Draft7Validator({"allOf": [message["payload"]], "components": document["components"]})
            for example in message.get("examples", ()):
                check.validate(example["payload"])
                tried += 1
    assert tried


# --- text ---


def test_text_has_sorted_keys_but_for_the_fields_of_a_message_and_data() -> None:
    document: Any = {
        "b": 1,
        "a": {"properties": {"z": {"type": "x", "items": {}}, "y": {}}, "default": {"d": 1, "c": 2}},
    }
    text = text_of(document)
    assert json.loads(text) == document
    order = [text.index(f'"{name}"') for name in "a default d c properties z items type y b".split()]
    assert order == sorted(order)
    assert text.endswith("}\n")


def test_text_is_utf_8() -> None:
    assert "é" in text_of({"é": "é"})
