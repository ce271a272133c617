"""`Contract`: what both sides of a connection agree on, under a name and a version. Nothing is sent or served here."""

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
    """One thing that is wrong with a message: where (``items.3.price``), and what, as pydantic calls it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)

    location: str
    problem: str


class ErrorReply(BaseModel):
    """What answers an invalid message under ``Policy(on_invalid="reply")``. It repeats nothing that the peer sent.

    A contract that names it, or says it, answers with it. Derive from it, and override ``of``, to say something else.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(defer_build=True)

    type: Literal["error"] = "error"
    problem: MessageProblem
    detail: str
    errors: list[FieldProblem] = []

    @classmethod
    def of(cls, error: InvalidMessage) -> Self:
        """Make the answer to an invalid message."""
        problems = [FieldProblem(location=location, problem=problem) for location, problem in error.locations()]
        return cls(problem=error.problem, detail=str(error), errors=problems)


class Contract(Generic[In, Out, Params]):
    """What a client and a server agree on: messages both ways, parameters, modes, close codes; a name and a version.

    ``Contract("chat", Connection[ClientMessage, ServerMessage, Room])`` is a ``Contract[ClientMessage, ServerMessage,
    Room]``; the types are those of the server's side. ``Connection[Never, Out]`` is a pure feed. What could not be kept
    is an error here, and not with the first message.

    :param name: a token (RFC 9110), of which the subprotocols are made
    :param connection: the server's ``Connection[In, Out, Params]``
    :param version: three numbers, as in semantic versioning; the first is part of the subprotocols
    :param title: for people who read documents
    :param description: for people who read documents
    :param modes: how messages may travel: names of codecs, of which the subprotocols ``chat.v1.json`` (for ``"text"``),
        ``chat.v1.msgpack``, ... are made; or a mapping of your own names of subprotocols to modes. A client that offers
        no subprotocol gets the first
    :param closes: the application's close codes
    :param error: what answers an invalid message under ``Policy(on_invalid="reply")``: one of the models that the
        server says. By default the `ErrorReply` among them, if there is one
    :param codecs: the registry that knows the modes
    :raises InvalidContract: for a contradiction
    :raises InvalidMessageType: for a type that pydantic cannot build
    :raises UnknownMode: for a mode that names no codec
    """

    __slots__ = (
        "_fingerprint",
        "closes",
        "codecs",
        "connection",
        "description",
        "error",
        "client_messages",
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
            raise InvalidContract("a name that is a token", repr(name), "take letters, digits, '.', '-' and '_'")
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
        """Give the contract that an annotation makes: it has no subprotocol, and a name for people only."""
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
        """Whether the server hears nothing: ``Connection[Never, Out]``."""
        return self.client_messages is not None and is_never(self.client_messages.form)

    @property
    def fingerprint(self) -> str:
        """A hash of what the wire depends on: two contracts that share it understand each other.

        Messages, parameters, modes, close codes and the error reply count; names of classes, titles, descriptions,
        examples and the version do not. Computed when it is first asked for.
        """
        if self._fingerprint is None:
            from typedws._contract.fingerprint import fingerprint_of  # who does not ask does not pay for the import

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
    """Give every mode under the subprotocol that stands for it."""
    if isinstance(modes, str) or not modes:
        raise InvalidContract("a sequence of modes", repr(modes), 'as in modes=("text", "msgpack")')
    pairs = list(modes.items()) if isinstance(modes, Mapping) else [(_subprotocol(name, version, m), m) for m in modes]
    for subprotocol, mode in pairs:
        codecs.get(mode)
        if not is_token(subprotocol.encode(errors="replace")):
            raise InvalidContract("a subprotocol that is a token", repr(subprotocol), "RFC 6455 section 4.1")
        if subprotocol.lower() == BEARER:
            raise InvalidContract("a subprotocol that is no marker", repr(subprotocol), "what follows it is a token")
    if len(dict(pairs)) < len(pairs):
        twice = next(each for each, _ in pairs if [name for name, _ in pairs].count(each) > 1)
        raise InvalidContract("one mode for each subprotocol", f"two for {twice}", "name them: modes={'chat.a': ...}")
    return dict(pairs)


def _subprotocol(name: str, version: str, mode: Mode) -> str:
    label = mode if isinstance(mode, str) else mode.name
    return f"{name}.v{version.partition('.')[0]}.{_LABELS.get(label, label)}"


def _checked_closes(closes: type[ApplicationCloseCode] | None) -> type[ApplicationCloseCode] | None:
    for name, member in () if closes is None else closes.__members__.items():
        found = f"{member.value} of {name}"
        if not 4000 <= member <= 4999:
            raise InvalidContract("close codes from 4000 to 4999", found, "RFC 6455 section 7.4.2")
        if member.name != name:
            raise InvalidContract("one name for each close code", f"{found} and {member.name}")
        if member.reconnect not in get_args(Reconnect):
            raise InvalidContract(f"one of {', '.join(get_args(Reconnect))}", f"{member.reconnect!r} of {name}")
    return closes


def _checked_error(
    error: type[ErrorReply] | None, server_messages: MessageAdapter[Any] | None
) -> type[ErrorReply] | None:
    members = () if server_messages is None else tuple(server_messages.members)
    if error is None:
        return next((member for member in members if issubclass(member, ErrorReply)), None)
    if error not in members or not hasattr(error, "of"):
        hint = f"derive it from ErrorReply, and add it to {'nothing declared' if server_messages is None else server_messages.name}"
        raise InvalidContract("an error reply among the server messages", error.__name__, hint)
    return error
