"""Fingerprints: they change with everything that the wire depends on, and with nothing else."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Never

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from typedws import ApplicationCloseCode, BinaryJSON, Connection, Contract, ErrorReply, FromCookie, FromHeader


class Say(BaseModel):
    text: str = Field(max_length=10)
    loud: bool = False


class Posted(BaseModel):
    text: str
    by: str = "ann"


class Room(BaseModel):
    room: str


class Closes(ApplicationCloseCode):
    KICKED = 4001, "removed", "never"


class Renamed(ApplicationCloseCode):
    THROWN_OUT = 4001, "thrown out", "never"


class Retrying(ApplicationCloseCode):
    KICKED = 4001, "removed", "backoff"


def like(model: type[BaseModel], name: str = "Other", /, config: ConfigDict | None = None, **changed: Any) -> Any:
    """Return a model with the same fields, except for those that changed."""
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    return create_model(name, __config__=config, **{**fields, **changed})


def contract(
    client_messages: Any = Say, server_messages: Any = Posted, params: Any = Room, name: str = "chat", **more: Any
) -> str:
    connection: Any = Connection
    options: dict[str, Any] = {"closes": Closes, **more}
    return Contract(name, connection[client_messages, server_messages, params], **options).fingerprint


BASE = contract()

SAME: Mapping[str, Callable[[], str]] = {
    "the name of a class": lambda: contract(client_messages=like(Say, "Speak")),
    "the order of fields": lambda: contract(
        client_messages=create_model("Say", loud=(bool, False), text=(str, Field(max_length=10)))
    ),
    "a title, a description, an example": lambda: contract(
        client_messages=like(
            Say, "Say", ConfigDict(title="T"), text=(str, Field(max_length=10, description="d", examples=["e"]))
        )
    ),
    "a default in a server message": lambda: contract(server_messages=like(Posted, by=(str, "bob"))),
    "a field made into a type of its own": lambda: contract(
        server_messages=like(Posted, by=(Annotated[str, Field()], "ann"))
    ),
    "the title and description of the contract": lambda: contract(title="Chat", description="for all"),
    "a version of the same major": lambda: contract(version="1.2.3"),
    "names and descriptions of close codes": lambda: contract(closes=Renamed),
}

DIFFERENT: Mapping[str, Callable[[], str]] = {
    "a field": lambda: contract(client_messages=like(Say, more=(int, 1))),
    "the type of a field": lambda: contract(client_messages=like(Say, loud=(int, 0))),
    "a constraint": lambda: contract(client_messages=like(Say, text=(str, Field(max_length=11)))),
    "a default in a client message": lambda: contract(client_messages=like(Say, loud=(bool, True))),
    "an additional field refused": lambda: contract(client_messages=like(Say, "Say", ConfigDict(extra="forbid"))),
    "another server message": lambda: contract(server_messages=Say),
    "both directions exchanged": lambda: contract(client_messages=Posted, server_messages=Say),
    "no client messages": lambda: contract(client_messages=Never),
    "any client message": lambda: contract(client_messages=Any),
    "a parameter": lambda: contract(params=like(Room, page=(int, 1))),
    "no parameters": lambda: contract(params=object),
    "a parameter in a header": lambda: contract(params=like(Room, room=(Annotated[str, FromHeader("room")], ...))),
    "a parameter in a cookie": lambda: contract(params=like(Room, room=(Annotated[str, FromCookie("room")], ...))),
    "the modes": lambda: contract(modes=("text", "msgpack")),
    "the first mode": lambda: contract(modes=("msgpack", "text")),
    "a codec": lambda: contract(modes=(BinaryJSON("own"),)),
    "the name, as subprotocols have it": lambda: contract(name="talk"),
    "the major version, as subprotocols have it": lambda: contract(version="2.0.0"),
    "close codes": lambda: contract(closes=None),
    "what to do after a close": lambda: contract(closes=Retrying),
}


@pytest.mark.parametrize("change", SAME)
def test_these_changes_keep_the_fingerprint(change: str) -> None:
    assert SAME[change]() == BASE


@pytest.mark.parametrize("change", DIFFERENT)
def test_these_changes_change_the_fingerprint(change: str) -> None:
    assert DIFFERENT[change]() != BASE


def test_all_changes_lead_to_different_fingerprints() -> None:
    fingerprints = [change() for change in DIFFERENT.values()]
    assert len(set(fingerprints)) == len(fingerprints)


def test_the_choice_of_the_error_reply_counts() -> None:
    class Oops(ErrorReply):
        type: Literal["error"] = "error"

    class Alas(ErrorReply):
        type: Literal["error"] = "error"
        code: int = 1

    class Tagged(Alas):
        type: Literal["alas"] = "alas"  # type: ignore[assignment]

    server_messages = Annotated[Oops | Tagged, Field(discriminator="type")]
    assert contract(server_messages=server_messages, error=Oops) != contract(
        server_messages=server_messages, error=Tagged
    )


def test_the_names_of_recursive_models_do_not_count() -> None:
    def tree(name: str, *sides: str) -> Any:
        fields: dict[str, Any] = dict.fromkeys(sides, (f"{name} | None", None))
        return create_model(name, **fields)

    assert contract(client_messages=tree("Tree", "left", "right")) == contract(
        client_messages=tree("Shrub", "left", "right")
    )
    assert contract(client_messages=tree("Tree", "left", "right")) != contract(client_messages=tree("Tree", "left"))


def test_a_fingerprint_is_the_same_in_every_process_and_computed_once() -> None:
    script = "from tests.unit._contract.test_fingerprint import contract; print(contract())"
    for seed in ("1", "2"):
        command = [sys.executable, "-W", "error", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed})
        assert done.stdout.strip() == BASE
    one = Contract("chat", Connection[Say, Posted])
    assert one.fingerprint is one.fingerprint
    assert len(BASE) == 32


def test_an_app_does_not_import_the_schema_package_before_it_is_needed() -> None:
    script = """
import sys
from typedws import App, Connection, Contract
app = App(schema_path="/asyncapi.json")
@app.websocket("/x", Contract("x", Connection[str, str]))
async def talk(ws: Connection[str, str]) -> None: ...
print([name for name in sys.modules if name.startswith("typedws.schema")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
