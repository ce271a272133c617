"""`Contract`: the message types, parameters and close codes that a client and a server agree on. No I/O."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, Literal, Self, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from typedws._http.headers import is_token
from typedws._http.subprotocols import BEARER
from typedws._messages.adapter import MessageAdapter, adapter_for
from typedws._messages.core_schema import is_undiscriminated
from typedws._messages.type_forms import is_never, type_name
from typedws._messages.type_parameters import HasMessageTypes, message_types_of
from typedws.close_codes import ApplicationCloseCode, Reconnect
from typedws.codecs.modes import CodecRegistry, Mode, registry
from typedws.exceptions import InvalidContract, InvalidMessage, MessageProblem

__all__ = ["Contract", "ErrorReply", "FieldProblem"]

In = TypeVar("In", default=object)
Out = TypeVar("Out", default=Any)
Params = TypeVar("Params", default=object)


class FieldProblem(BaseModel):
    """One validation error of a message: its location (``items.3.price``), and its type as pydantic names it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)

    location: str
    problem: str


class ErrorReply(BaseModel):
    """The answer to an invalid message under ``Policy(on_invalid="reply")``. It contains nothing that the peer sent.

    A contract uses it if it is one of the server messages. To send other fields, derive from it and override ``of``.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)

    type: Literal["error"] = "error"
    problem: MessageProblem
    detail: str
    errors: list[FieldProblem] = []

    @classmethod
    def of(cls, error: InvalidMessage) -> Self:
        """Return the answer to an invalid message."""
        problems = [FieldProblem(location=location, problem=problem) for location, problem in error.locations()]
        return cls(problem=error.problem, detail=str(error), errors=problems)


class Contract(Generic[In, Out, Params]):
    """What a client and a server agree on: the messages of each side, the parameters, modes and close codes.

    ``Contract("chat", Connection[ClientMessage, ServerMessage, Room])`` is a ``Contract[ClientMessage, ServerMessage,
    Room]``: ``client_messages`` are what the client sends, ``server_messages`` what the server sends.
    ``Connection[Never, Out]`` is a feed, to which a client sends nothing. Contradictions are errors when the contract
    is created, not at the first message.

    :param name: a token (RFC 9110 section 5.6.2), the first part of the subprotocols
    :param connection: the server's ``Connection[In, Out, Params]``
    :param version: three numbers, as in semantic versioning; the first one is part of the subprotocols
    :param title: a title for documents
    :param description: a description for documents
    :param modes: the modes that a client may choose from: names of codecs, from which the subprotocols
        ``chat.v1.json`` (for ``"text"``), ``chat.v1.msgpack``, ... are made; or a mapping from your own subprotocols
        to modes. A client that offers no subprotocol gets the first mode
    :param closes: the application's close codes
    :param error: the model that answers an invalid message under ``Policy(on_invalid="reply")``, one of the server
        messages. By default the `ErrorReply` among them, if there is one
    :param codecs: the registry of the modes
    :raises InvalidContract: if it contradicts itself
    :raises InvalidMessageType: if pydantic cannot build a type
    :raises UnknownMode: if no codec has the name of a mode
    """

    __slots__ = (
        "_fingerprint",
        "client_messages",
        "closes",
        "codecs",
        "connection",
        "description",
        "error",
        "modes",
        "name",
        "params",
        "server_messages",
        "subprotocols",
        "title",
        "version",
    )

    def __init__(
        self,
        name: str,
        connection: type[HasMessageTypes[In, Out, Params]],
        *,
        version: str = "1.0.0",
        title: str | None = None,
        description: str | None = None,
        modes: Sequence[Mode] | Mapping[str, Mode] = ("text",),
        closes: type[ApplicationCloseCode] | None = None,
        error: type[ErrorReply] | None = None,
        codecs: CodecRegistry = registry,
    ) -> None:
        if not is_token(name.encode(errors="replace")):
            raise InvalidContract("a name that is a token", repr(name), "use letters, digits, '.', '-' and '_'")
        if not _VERSION.fullmatch(version):
            raise InvalidContract("a version of three numbers", repr(version), 'as in "1.0.0"')
        self._declare(name, connection, codecs)
        self.version: str = version
        self.title: str | None = title
        self.description: str | None = description
        self.subprotocols: Mapping[str, Mode] = MappingProxyType(_named(name, version, modes, codecs))
        self.modes: tuple[Mode, ...] = tuple(dict.fromkeys(self.subprotocols.values()))
        self.closes: type[ApplicationCloseCode] | None = _checked_closes(closes)
        self.error: type[ErrorReply] | None = _checked_error(error, self.server_messages)

    @classmethod
    def unnamed(cls, name: str, connection: Any) -> "Contract[Any, Any, Any]":
        """Return the contract of an annotation. It has no subprotocols, and its name is for log lines only."""
        contract: Contract[Any, Any, Any] = cls.__new__(cls)
        contract._declare(name, connection, registry)
        contract.version, contract.title, contract.description = "1.0.0", None, None
        contract.subprotocols, contract.modes, contract.closes = _NO_NAMES, ("text",), None
        contract.error = _checked_error(None, contract.server_messages)
        return contract

    def _declare(self, name: str, connection: Any, codecs: CodecRegistry) -> None:
        self.name: str = name
        self.connection: Any = connection
        self.codecs: CodecRegistry = codecs
        class_ = get_origin(connection) or connection
        if not (isinstance(class_, type) and issubclass(class_, HasMessageTypes)):
            raise InvalidContract(
                "the type of a connection", type_name(connection), "as in Connection[In, Out, Params]"
            )
        client_messages, server_messages, params = message_types_of(cast(type[Any], class_), connection)
        self.client_messages: MessageAdapter[Any] | None = _adapter(client_messages, "client messages")
        self.server_messages: MessageAdapter[Any] | None = _adapter(server_messages, "server messages")
        self.params: MessageAdapter[Any] | None = None if params is None else adapter_for(params)
        self._fingerprint: str | None = None

    @property
    def is_feed(self) -> bool:
        """Whether the client sends no messages: ``Connection[Never, Out]``."""
        return self.client_messages is not None and is_never(self.client_messages.form)

    @property
    def fingerprint(self) -> str:
        """A hash of everything that a peer depends on. Two contracts with the same fingerprint are compatible.

        Messages, parameters, modes, close codes and the error reply count. Class names, titles, descriptions, examples
        and the version do not. It is computed when first used.
        """
        if self._fingerprint is None:
            # Imported when used, as it makes the import of the package slower.
            from typedws._contract.fingerprint import fingerprint_of

            self._fingerprint = fingerprint_of(
                client_messages=self.client_messages,
                server_messages=self.server_messages,
                params=self.params,
                error=None if self.error is None else adapter_for(self.error),
                modes=self.modes,
                subprotocols=self.subprotocols,
                closes=self.closes,
            )
        return self._fingerprint

    def __repr__(self) -> str:
        return f"<Contract {self.name} {self.version}>"


_VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
_NO_NAMES: Final[Mapping[str, Mode]] = MappingProxyType({})
_LABELS: Final[Mapping[str, str]] = {"text": "json"}


def _adapter(form: Any, role: str) -> MessageAdapter[Any] | None:
    if form is None:
        return None
    adapter = adapter_for(form)
    if is_undiscriminated(adapter.core_schema):
        found = f"{type_name(form)} as the {role}"
        hint = 'write Annotated[..., Field(discriminator="type")], with a Literal field "type" in each'
        raise InvalidContract("a union with a discriminator", found, hint)
    return adapter


def _named(
    name: str, version: str, modes: Sequence[Mode] | Mapping[str, Mode], codecs: CodecRegistry
) -> dict[str, Mode]:
    """Return the modes by subprotocol."""
    if isinstance(modes, str) or not modes:
        raise InvalidContract("a sequence of modes", repr(modes), 'as in modes=("text", "msgpack")')
    pairs = list(modes.items()) if isinstance(modes, Mapping) else [(_subprotocol(name, version, m), m) for m in modes]
    for subprotocol, mode in pairs:
        codecs.get(mode)
        if not is_token(subprotocol.encode(errors="replace")):
            raise InvalidContract("a subprotocol that is a token", repr(subprotocol), "RFC 6455 section 4.1")
        if subprotocol.lower() == BEARER:
            sentence = f"the subprotocol {subprotocol!r} is reserved: clients offer a token after it"
            raise InvalidContract("another subprotocol", repr(subprotocol), sentence=sentence)
    if len(dict(pairs)) < len(pairs):
        repeated = next(each for each, _ in pairs if [name for name, _ in pairs].count(each) > 1)
        hint = "name the subprotocols, as in modes={'chat.a': ...}"
        raise InvalidContract("one mode for each subprotocol", f"two for {repeated}", hint)
    return dict(pairs)


def _subprotocol(name: str, version: str, mode: Mode) -> str:
    label = mode if isinstance(mode, str) else mode.name
    return f"{name}.v{version.partition('.')[0]}.{_LABELS.get(label, label)}"


def _checked_closes(closes: type[ApplicationCloseCode] | None) -> type[ApplicationCloseCode] | None:
    for name, member in () if closes is None else closes.__members__.items():
        found = f"{member.value} ({name})"
        if not 4000 <= member <= 4999:
            raise InvalidContract("close codes from 4000 to 4999", found, "RFC 6455 section 7.4.2")
        if member.name != name:
            raise InvalidContract("different close codes", f"{member.value} for {member.name} and {name}")
        if member.reconnect not in get_args(Reconnect):
            expected = f"reconnect to be one of {', '.join(get_args(Reconnect))}"
            raise InvalidContract(expected, f"{member.reconnect!r} ({name})")
    return closes


def _checked_error(
    error: type[ErrorReply] | None, server_messages: MessageAdapter[Any] | None
) -> type[ErrorReply] | None:
    members = () if server_messages is None else tuple(server_messages.members)
    if error is None:
        return next((member for member in members if issubclass(member, ErrorReply)), None)
    if error not in members or not hasattr(error, "of"):
        declared = "none declared" if server_messages is None else server_messages.name
        hint = f"derive it from ErrorReply and add it to the server messages ({declared})"
        raise InvalidContract("an error reply among the server messages", error.__name__, hint)
    return error
