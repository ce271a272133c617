"""A contract as one document: JSON Schemas (draft 2020-12) of its messages, and what else a client must know."""

from typing import Any, Final

from pydantic import BaseModel

from typedws._contract.contract import Contract
from typedws._contract.params_schemas import parameters_of
from typedws._messages.adapter import adapter_for
from typedws._schema.definitions import Definitions, NamedDefinitions, schema_of
from typedws._schema.traversal import Schema
from typedws.codecs.modes import CodecRegistry, Mode

__all__ = ["COMMENT", "closes_of", "contract_document", "mode_facts", "model_document"]

COMMENT: Final = "Made by `typedws schema export`: change the code, and make it again."
"""What marks a document as one that nobody wrote, and nobody should edit."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def contract_document(contract: Contract[Any, Any, Any]) -> Schema:
    """Make the document of a contract, from the server's side: what it hears, what it says.

    ``client_messages`` and ``server_messages`` are schemas: ``true`` where nothing is declared, ``false`` where there is no message.
    """
    definitions = Definitions()
    client_messages = schema_of(contract.client_messages, "receive", definitions)
    server_messages = schema_of(contract.server_messages, "send", definitions)
    error = None if contract.error is None else definitions.add(adapter_for(contract.error), "send")
    params = {} if contract.params is None else parameters_of(contract.params, definitions).parts()
    named = definitions.named(
        each for each in (client_messages, server_messages, error, *params.values()) if each is not None
    )
    document: Schema = {
        "$comment": COMMENT,
        "$schema": _DIALECT,
        "$defs": named.schemas(),
        "closes": closes_of(contract),
        "contract": contract.name,
        "description": contract.description,
        "error": error and named.with_names(error),
        "fingerprint": contract.fingerprint,
        "clientMessages": _written(client_messages, named),
        "modes": _modes(contract),
        "params": {source: named.with_names(schema) for source, schema in params.items()},
        "serverMessages": _written(server_messages, named),
        "title": contract.title,
        "version": contract.version,
    }
    return {keyword: value for keyword, value in document.items() if value not in (None, [], {})}


def model_document(model: type[BaseModel]) -> Schema:
    """Make the document of one model, as it is sent."""
    definitions = Definitions()
    schema = definitions.resolved(definitions.add(adapter_for(model), "send"))
    named = definitions.named([schema])
    document = {"$comment": COMMENT, "$schema": _DIALECT, "$defs": named.schemas(), **named.with_names(schema)}
    return {keyword: value for keyword, value in document.items() if value != {}}


def _written(schema: Schema | None, named: NamedDefinitions) -> Schema | bool:
    return (named.with_names(schema) or True) if schema is not None else False


def closes_of(contract: Contract[Any, Any, Any]) -> list[Schema]:
    """List the application's close codes."""
    members = () if contract.closes is None else sorted(contract.closes)
    return [
        {"code": int(each), "name": each.name, "description": each.description, "reconnect": each.reconnect}
        for each in members
    ]


def _modes(contract: Contract[Any, Any, Any]) -> list[Schema]:
    """List the modes, the default first."""
    if not contract.subprotocols:
        return [mode_facts(mode, contract.codecs) for mode in contract.modes]
    return [{"subprotocol": name, **mode_facts(mode, contract.codecs)} for name, mode in contract.subprotocols.items()]


def mode_facts(mode: Mode, codecs: CodecRegistry) -> Schema:
    """Say what a mode is: its name, its kind of frames, the media type if it has one."""
    codec = codecs.get(mode)
    facts = {
        "mode": mode if isinstance(mode, str) else mode.name,
        "frame": codec.kind,
        "contentType": codec.content_type,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
