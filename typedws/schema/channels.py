"""The channels of an application: a path, its contract, and each of its messages. No documents here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from typedws._contract.contract import Contract
from typedws._contract.params_schemas import Parameters, parameters_of
from typedws._contract.security_schemes import SecurityScheme
from typedws._http.path_templates import PathTemplate
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws._schema.definitions import Definitions, schema_of
from typedws._schema.generator import Direction
from typedws._schema.traversal import Schema
from typedws.schema.examples import examples_of

__all__ = ["Channel", "Described", "Message", "described"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One path, and the contract that is served on it.

    :param security: the security schemes by name; a client must satisfy one of them
    """

    path: PathTemplate
    contract: Contract[Any, Any, Any]
    description: str | None = None
    security: Mapping[str, SecurityScheme] = field(default_factory=dict[str, SecurityScheme])
    replies_to_invalid: bool = False
    """Whether an invalid message is answered with the contract's error reply."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message in one direction."""

    schema: Schema
    direction: Direction
    examples: list[Any]
    title: str | None = None
    summary: str | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """A channel with the schemas of its messages and parameters."""

    channel: Channel
    messages: list[Message]
    params: Parameters | None

    def schemas(self) -> Iterator[Schema]:
        """Yield the schemas of all messages and parameters."""
        yield from (message.schema for message in self.messages)
        if self.params is not None:
            yield from self.params.parts().values()


def described(channel: Channel, definitions: Definitions) -> Described:
    """Return the schemas of a channel; the definitions that they refer to are added to ``definitions``."""
    contract = channel.contract
    error = None if contract.error is None else definitions.add(adapter_for(contract.error), "send")
    messages = [
        *_messages(contract.client_messages, "receive", definitions, None),
        *_messages(contract.server_messages, "send", definitions, error),
    ]
    params = None if contract.params is None else parameters_of(contract.params, definitions)
    return Described(channel, messages, params)


def _messages(
    adapter: MessageAdapter[Any] | None, direction: Direction, definitions: Definitions, error: Schema | None
) -> Iterator[Message]:
    schema = schema_of(adapter, direction, definitions)
    if adapter is None:
        yield Message({}, direction, [])
    elif schema is not None:
        choices = list(_choices(schema, definitions))
        # Examples of both directions start as values that validate, so they need the schemas for validation.
        received = list(_choices(definitions.add(adapter, "receive"), definitions))
        # With a serializer of the user's own, the choices may differ by direction: then they cannot be paired.
        sources = received if len(received) == len(choices) else [None] * len(choices)
        for choice, source in zip(choices, sources, strict=True):
            examples = [] if source is None else examples_of(adapter, direction, source, definitions.resolved)
            structure = definitions.resolved(choice)
            summary = structure.get("description", "").partition("\n\n")[0]
            yield Message(choice, direction, examples, structure.get("title"), summary, is_error=choice == error)


def _choices(schema: Schema, definitions: Definitions) -> Iterator[Schema]:
    """Yield the members of a union of structures, however nested, or the schema of any other type."""
    union = definitions.resolved(schema)
    choices: list[Schema] = union.get("oneOf") or union.get("anyOf") or []
    if any("$ref" in choice for choice in choices):
        for choice in choices:
            yield from _choices(choice, definitions)
    else:
        yield schema
