"""Fingerprints of contracts: a hash of all that a peer depends on, and of nothing else.

Two contracts with the same fingerprint understand each other. It covers the messages of both directions, the parameters
and where they come from, the modes with their subprotocols, the close codes with what to do after them, and the error
reply. It leaves out names of classes, titles, descriptions and examples, the order of fields, and defaults in server
messages, which are sent like any value. It also leaves out the version, except for the part that is in the names of the
subprotocols. So a check can see that the wire changed and the version did not, or the reverse.

A fingerprint cannot cover what pydantic's schemas do not describe, such as a validator function.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from typedws._contract.params_schemas import parameters_of
from typedws._messages.adapter import MessageAdapter
from typedws._schema.definitions import Definitions, schema_of
from typedws._schema.digests import MEANING, digest
from typedws.close_codes import ApplicationCloseCode
from typedws.codecs.modes import Mode

__all__ = ["fingerprint_of"]

_LENGTH = 32  # hexadecimal digits, 128 bits


def fingerprint_of(
    *,
    client_messages: MessageAdapter[Any] | None,
    server_messages: MessageAdapter[Any] | None,
    params: MessageAdapter[Any] | None,
    error: MessageAdapter[Any] | None,
    modes: Sequence[Mode],
    subprotocols: Mapping[str, Mode],
    closes: type[ApplicationCloseCode] | None,
) -> str:
    """Return the hash of the parts of a contract: 32 hexadecimal digits."""
    definitions = Definitions()
    received = {
        "clientMessages": schema_of(client_messages, "receive", definitions),
        **({} if params is None else parameters_of(params, definitions).parts()),
    }
    sent = {
        "serverMessages": schema_of(server_messages, "send", definitions),
        "error": None if error is None else definitions.add(error, "send"),
    }
    digests = definitions.digests(MEANING), definitions.digests(MEANING - {"default"})
    hashes = {
        part: None if schema is None else digests_of_direction.of(schema)
        for schemas, digests_of_direction in zip((received, sent), digests, strict=True)
        for part, schema in schemas.items()
    }
    codes = [] if closes is None else sorted((int(each), each.reconnect) for each in closes)
    # Lists, not mappings: the order counts, since clients without a subprotocol get the first mode.
    names = {"modes": list(map(_name, modes)), "subprotocols": [[each, _name(of)] for each, of in subprotocols.items()]}
    return digest({**hashes, **names, "closes": codes})[:_LENGTH]


def _name(mode: Mode) -> str:
    return mode if isinstance(mode, str) else mode.name
