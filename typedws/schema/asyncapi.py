"""The AsyncAPI 3.1.0 document of an application, from its own point of view: it receives the client messages.

Facts for which AsyncAPI and its WebSocket binding (0.1.0) have no field are in extensions: ``x-contract``,
``x-subprotocols``, ``x-close-codes``, ``x-denials``, ``x-cookies`` and ``x-error-reply`` of a channel, and ``x-schema``
of a parameter.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from typedws._contract.problem_documents import ProblemDocument
from typedws._contract.security_schemes import SecurityScheme
from typedws._messages.adapter import adapter_for
from typedws._schema.definitions import Definitions, NamedDefinitions
from typedws._schema.digests import digest
from typedws._schema.generator import Direction
from typedws._schema.naming import distinct_names, legal
from typedws._schema.traversal import Schema
from typedws.exceptions import InvalidParams, UnknownSubprotocol
from typedws.schema.channels import Channel, Described, Message, described
from typedws.schema.contracts import COMMENT, closes_of, mode_facts
from typedws.schema.draft07 import as_draft_07

__all__ = ["CONTENT_TYPE", "Info", "asyncapi_document"]

CONTENT_TYPE: Final = "application/vnd.aai.asyncapi+json;version=3.1.0"
"""The media type of the document, from the AsyncAPI specification."""

_SCHEMAS: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Info:
    """Facts about the application as a whole.

    :param servers: the URLs of its servers, by name
    """

    title: str
    version: str
    description: str | None = None
    servers: Mapping[str, str] = field(default_factory=dict[str, str])


def asyncapi_document(info: Info, channels: Sequence[Channel]) -> Schema:
    """Return the AsyncAPI document of an application."""
    definitions = Definitions()
    problem = definitions.add(adapter_for(ProblemDocument), "send")
    drafts = [described(channel, definitions) for channel in channels]
    used = [problem, *(schema for draft in drafts for schema in draft.schemas())]
    named, security = definitions.named(used), _SecurityNames(channels)
    written = {
        name: _Channel(name, draft, named, security) for name, draft in zip(_names(channels), drafts, strict=True)
    }
    return _present(
        {
            "asyncapi": "3.1.0",
            "x-comment": COMMENT,
            "info": _present({"title": info.title, "version": info.version, "description": info.description}),
            "defaultContentType": "application/json",
            "servers": {legal(name): _server(url) for name, url in info.servers.items()},
            "channels": {name: each.channel(_written(problem, named)) for name, each in written.items()},
            "operations": dict(pair for each in written.values() for pair in each.operations()),
            "components": _present(
                {
                    "schemas": {name: as_draft_07(each) for name, each in named.schemas(_SCHEMAS).items()},
                    "securitySchemes": security.schemes,
                }
            ),
        }
    )


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", {}, [])}


def _written(schema: Schema, named: NamedDefinitions) -> Schema:
    return as_draft_07(named.with_names(schema, _SCHEMAS))


def _server(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return _present({"host": parts.netloc, "pathname": parts.path or None, "protocol": parts.scheme})


def _names(channels: Sequence[Channel]) -> list[str]:
    """Name channels after their contracts; those that share a name add version, address, and fingerprint."""
    candidates: dict[int, list[str]] = {}
    for place, channel in enumerate(channels):
        name, version = legal(channel.contract.name), channel.contract.version
        address = legal(channel.path.address.strip("/"))
        full = f"{name}-{version}-{address}"
        candidates[place] = [
            name,
            f"{name}-{version}",
            f"{name}-{address}",
            full,
            f"{full}-{channel.contract.fingerprint}",
        ]
    return list(distinct_names(candidates).values())


class _SecurityNames:
    """The security schemes of all channels, by unique names."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        # Channels may use one name for different schemes, or share a scheme: the name and the content identify it.
        schemes = {(name, digest(each)): each for channel in channels for name, each in channel.security.items()}
        self._names = distinct_names({(name, key): [legal(name), f"{legal(name)}-{key[:8]}"] for name, key in schemes})
        self.schemes: dict[str, SecurityScheme] = {self._names[key]: each for key, each in schemes.items()}

    def references(self, security: Mapping[str, SecurityScheme]) -> list[Schema]:
        """Return references to the schemes of a channel; a client must satisfy one of them."""
        names = [self._names[name, digest(each)] for name, each in security.items()]
        return [{"$ref": f"#/components/securitySchemes/{name}"} for name in names]


class _Channel:
    """The builder of one channel, with its messages and operations."""

    def __init__(self, name: str, draft: Described, named: NamedDefinitions, security: _SecurityNames) -> None:
        self._name = name
        self._draft = draft
        self._contract = draft.channel.contract
        self._named = named
        self._security = security.references(draft.channel.security)
        # A message that is received and sent is one message if both payloads are the same: equal digests, one name.
        payloads = [_written(message.schema, named) for message in draft.messages]
        digests = [digest(payload) for payload in payloads]
        candidates = {
            key: [name, f"{name}-{'Input' if message.direction == 'receive' else 'Output'}", f"{name}-{key[:8]}"]
            for key, message, payload in zip(digests, draft.messages, payloads, strict=True)
            for name in [_kind(payload)]
        }
        names = distinct_names(candidates)
        self._messages = list(zip((names[key] for key in digests), payloads, draft.messages, strict=True))

    def channel(self, problem: Schema) -> Schema:
        """Return the Channel Object."""
        contract, channel = self._contract, self._draft.channel
        modes = {name: mode_facts(mode, contract.codecs) for name, mode in contract.subprotocols.items()}
        # Python evaluates the key first: the value is then without the code.
        closes = {str(each.pop("code")): each for each in closes_of(contract)}
        return _present(
            {
                "address": channel.path.address,
                "title": contract.title,
                "description": contract.description or channel.description,
                "parameters": dict(self._parameters()),
                "messages": {name: self._message(name, payload, message) for name, payload, message in self._messages},
                "bindings": {"ws": self._binding()},
                "x-contract": {"name": contract.name, "version": contract.version, "fingerprint": contract.fingerprint},
                "x-subprotocols": modes,
                "x-close-codes": closes,
                "x-denials": dict(self._denials(problem)),
                "x-cookies": self._cookies(),
                "x-error-reply": self._error_reply(),
            }
        )

    def operations(self) -> Iterator[tuple[str, Schema]]:
        """Yield the operations by name, at most one per direction; a pure feed has none that receives."""
        channel = {"$ref": f"#/channels/{self._name}"}
        for action in get_args(Direction):
            messages = [name for name, _, message in self._messages if message.direction == action]
            if messages:
                operation = {"action": action, "channel": channel, "messages": self._references(messages)}
                yield f"{self._name}.{action}", _present({**operation, "security": self._security})

    def _error_reply(self) -> Schema | None:
        """Return a reference to the message that answers an invalid one, if there is one.

        It is not the ``reply`` of the operation, since a valid message gets none.
        """
        errors = [name for name, _, message in self._messages if message.is_error]
        return self._references(errors)[0] if errors and self._draft.channel.replies_to_invalid else None

    def _references(self, names: Collection[str]) -> list[Schema]:
        return [{"$ref": f"#/channels/{self._name}/messages/{name}"} for name in names]

    def _message(self, name: str, payload: Schema, message: Message) -> Schema:
        # A message has one contentType. The first mode is that of clients which offer no subprotocol.
        facts = mode_facts(self._contract.modes[0], self._contract.codecs)
        members = {
            "name": name,
            "title": message.title,
            "summary": message.summary,
            "contentType": facts.get("contentType"),
            "examples": [{"payload": each} for each in message.examples],
        }
        return {**_present(members), "payload": payload}  # kept even if empty: then any value is valid

    # --- the handshake ---

    def _parameters(self) -> Iterator[tuple[str, Schema]]:
        params = self._draft.params
        declared: Mapping[str, Schema] = {} if params is None else params.query["properties"]
        for name, converter in self._draft.channel.path.converters.items():
            schema = _written(declared.get(name, {}), self._named)
            # A Parameter Object describes text only, by an enum: the whole schema is in x-schema.
            values = [str(each) for each in schema.get("enum", [])]
            description = schema.get("description", converter.expected)
            yield name, _present({"description": description, "enum": values, "x-schema": schema})

    def _binding(self) -> Schema:
        params = self._draft.params
        binding: Schema = {"method": "GET", "bindingVersion": "0.1.0"}
        if params is None:
            return binding
        query = _without(params.query, self._draft.channel.path.names)
        headers = {**params.headers, "properties": {**params.headers["properties"]}}
        # The binding has no field for cookies: they are one header here, and x-cookies describes each.
        if cookies := params.cookies["properties"]:
            headers["properties"]["Cookie"] = {"type": "string", "description": f"holds {', '.join(cookies)}"}
        for part, schema in (("query", query), ("headers", headers)):
            if schema["properties"] or "allOf" in schema:
                binding[part] = _written(schema, self._named)
        return binding

    def _cookies(self) -> Schema:
        params = self._draft.params
        return {} if params is None or not params.cookies["properties"] else _written(params.cookies, self._named)

    def _denials(self, problem: Schema) -> Iterator[tuple[str, Schema]]:
        """Yield the denials that typedws itself sends, by status; a handler may send others."""
        # For each status: whether this contract and channel can have it, and why it is sent.
        rows = {
            UnknownSubprotocol.status_code: (True, "none of the offered subprotocols is supported"),
            401: (self._security, "no valid credentials"),
            403: (True, "a page of this origin may not connect, or the handler refused"),
            InvalidParams.status_code: (self._contract.params, "the parameters are invalid"),
            500: (True, "the handler failed"),
            503: (True, "too many connections, no decision in time, or a server restart"),
        }
        for status, (is_possible, description) in rows.items():
            if is_possible:
                body = {"contentType": "application/problem+json", "payload": problem}
                yield str(status), {"description": description, **body}


def _without(schema: Schema, names: Collection[str]) -> Schema:
    """Return the schema of an object without these properties."""
    properties = {name: each for name, each in schema["properties"].items() if name not in names}
    required = [name for name in schema.get("required", ()) if name not in names]
    rest = {keyword: value for keyword, value in schema.items() if keyword != "required"}
    return {**rest, "properties": properties, **({"required": required} if required else {})}


def _kind(payload: Schema) -> str:
    """Return the name of a message: that of its model, else its JSON type."""
    for ref in (payload.get("$ref"), *(each.get("$ref") for each in payload.get("allOf", ()))):
        if ref is not None:
            return str(ref).removeprefix(_SCHEMAS)
    kind = str(payload.get("type", "any"))
    items: Schema | list[Schema] | None = payload.get("items")
    return f"{kind}-of-{_kind(items)}" if isinstance(items, dict) else kind
