"""`Endpoint`: a handler with its contract and its policy, as an ASGI application."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, overload

from typedws._connection.connection import Connection
from typedws._connection.handshake import Handshake
from typedws._contract.contract import Contract
from typedws._endpoint.admission import Admission
from typedws._endpoint.handler_signature import HandlerKind, check_agrees, read_signature
from typedws._endpoint.http_responses import answer_http
from typedws._endpoint.lifespan import answer_lifespan
from typedws._endpoint.policy import Policy
from typedws._endpoint.runner import Runner
from typedws._protocol.outcomes import Closed, Outcome
from typedws.asgi import Receive, Scope, Send
from typedws.exceptions import InvalidEndpoint

__all__ = ["ContractDecorator", "Endpoint", "EndpointDecorator", "Handler", "endpoint"]

In = TypeVar("In")
Out = TypeVar("Out")
Params = TypeVar("Params")


class Endpoint(Generic[In, Out, Params]):
    """A handler as an ASGI application: run by a server, routed to by an `App`, or mounted in a framework.

    `endpoint` and ``App.websocket`` create it. A plain HTTP request is answered with 426 (Upgrade Required).
    """

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[object]],
        kind: HandlerKind,
        contract: Contract[In, Out, Params],
        policy: Policy | None = None,
    ) -> None:
        self.handler: Callable[[Any], Awaitable[object]] = handler
        """The function that was decorated."""
        self.contract: Contract[In, Out, Params] = contract
        """The contract: the given one, or that of the handler's annotation."""
        self.policy: Policy | None = policy
        """The endpoint's own policy, or ``None`` to use the application's."""
        self.kind: HandlerKind = kind
        """Which view of the connection the handler takes."""
        self.__name__: str = getattr(handler, "__name__", type(handler).__name__)  # frameworks name the route after it
        self._runner = Runner(handler, kind, contract, Admission(policy or Policy()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind: str = scope["type"]
        if kind == "websocket":
            await self._runner.run(scope, receive, send, is_mounted="app" in scope)
        elif kind == "lifespan":
            await answer_lifespan(scope, receive, send)
        else:
            await answer_http(send, 426)

    def __repr__(self) -> str:
        return f"<Endpoint of {self.contract!r}>"


Handler: TypeAlias = (
    Callable[[Connection[In, Out, Params]], Awaitable[Closed | None]]
    | Callable[[Handshake[In, Out, Params]], Awaitable[Outcome]]
)
"""A handler: an asynchronous function that takes a `Connection`, or a `Handshake`, which it accepts or denies.

It is a union and not two overloads: of overloads, checkers explain only one when a handler fits neither.
"""


class EndpointDecorator(Protocol):
    """Makes an `Endpoint` from a handler whose annotation is the contract."""

    def __call__(self, handler: Handler[In, Out, Params], /) -> Endpoint[In, Out, Params]:
        """Return the endpoint. Raises as `endpoint` does."""
        ...


class ContractDecorator(Protocol[In, Out, Params]):
    """Makes an `Endpoint` from a handler that agrees with a contract."""

    def __call__(self, handler: Handler[In, Out, Params], /) -> Endpoint[In, Out, Params]:
        """Return the endpoint. Raises as `endpoint` does."""
        ...


@overload
def endpoint(
    handler: Handler[In, Out, Params],
    contract: Contract[In, Out, Params] | None = None,
    *,
    policy: Policy | None = None,
) -> Endpoint[In, Out, Params]: ...
@overload
def endpoint(
    *, contract: Contract[In, Out, Params], policy: Policy | None = None
) -> ContractDecorator[In, Out, Params]: ...
@overload
def endpoint(*, policy: Policy | None = None) -> EndpointDecorator: ...
def endpoint(
    handler: Callable[[Any], Awaitable[Any]] | None = None,
    contract: Contract[Any, Any, Any] | None = None,
    *,
    policy: Policy | None = None,
) -> Any:
    """Return an `Endpoint` for a handler: ``endpoint(talk)``, ``@endpoint``, or ``@endpoint(policy=...)``.

    :param handler: an asynchronous function that takes a ``Connection``, which is accepted before the call, or a
        ``Handshake``, which the handler accepts or denies; it then returns an ``Outcome`` on every path
    :param contract: by default the handler's annotation is the contract
    :param policy: the endpoint's own; by default the application's, or ``Policy()``
    :raises InvalidEndpoint: if the handler is not such a function, or does not agree with the contract
    :raises InvalidContract: if the annotation contradicts itself
    """
    names = sys._getframe(1).f_locals  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - annotations may use the caller's local names

    def decorate(handler: Callable[[Any], Awaitable[Any]]) -> Endpoint[Any, Any, Any]:
        return make_endpoint(handler, contract, policy, names)

    return decorate if handler is None else decorate(handler)


def make_endpoint(
    handler: Any,
    contract: Contract[Any, Any, Any] | None,
    policy: Policy | None,
    names: dict[str, Any],
    *,
    is_classic: bool = False,
) -> Endpoint[Any, Any, Any]:
    """Return an endpoint; ``names`` are the local names where the handler is declared."""
    signature = read_signature(handler, names, is_classic=is_classic)
    if contract is None:
        takes = signature.takes or Connection
        contract = Contract[Any, Any, Any].unnamed(signature.name, takes)
    elif not isinstance(cast(object, contract), Contract):
        raise InvalidEndpoint("a Contract", f"a {type(contract).__name__}", "pass the policy as policy=...")
    else:
        check_agrees(signature, contract)
    return Endpoint(handler, signature.kind, contract, policy)
