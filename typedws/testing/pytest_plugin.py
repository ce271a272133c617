"""The pytest plugin: the fixture ``typedws_connect``, for asynchronous tests under any plugin that runs them."""

import inspect
from contextlib import AsyncExitStack
from functools import wraps
from typing import Any, Unpack, cast, overload

import pytest
from typing_extensions import TypeVar

from typedws._contract.contract import Contract
from typedws._endpoint.endpoints import Endpoint
from typedws.asgi import ASGIApp
from typedws.testing.connecting import ConnectOptions, TestConnecting, connect
from typedws.testing.connection import TestConnection

__all__ = ["Connect", "pytest_runtest_setup", "typedws_connect"]

In = TypeVar("In")
Out = TypeVar("Out")


class Connect:
    """A callable like `connect` that opens connections at once; they are left when the test ends.

    Use it as ``ws = await typedws_connect(app, "/chat/lobby", chat)``.
    """

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    @overload
    async def __call__(
        self, app: Endpoint[In, Out, Any], path: str = "/", contract: None = None, **options: Unpack[ConnectOptions]
    ) -> TestConnection[Out, In]: ...
    @overload
    async def __call__(
        self, app: ASGIApp, path: str = "/", contract: None = None, **options: Unpack[ConnectOptions]
    ) -> TestConnection[object, Any]: ...
    @overload
    async def __call__(
        self, app: ASGIApp, path: str = "/", *, contract: Contract[In, Out, Any], **options: Unpack[ConnectOptions]
    ) -> TestConnection[Out, In]: ...
    @overload
    async def __call__(
        self, app: ASGIApp, path: str, contract: Contract[In, Out, Any], **options: Unpack[ConnectOptions]
    ) -> TestConnection[Out, In]: ...
    async def __call__(
        self,
        app: ASGIApp,
        path: str = "/",
        contract: Contract[Any, Any, Any] | None = None,
        **options: Unpack[ConnectOptions],
    ) -> TestConnection[Any, Any]:
        """Open a connection and return the client's end, with the arguments and the errors of `connect`."""
        connecting: TestConnecting[Any, Any] = connect(app, path, cast(Any, contract), **options)
        return await self._stack.enter_async_context(connecting)

    def wrap(self, test: Any) -> Any:
        """Return a test function that leaves the connections at its end, in the test's own task.

        A fixture's teardown could run in another task, and an exception of a handler would be an error of the teardown
        instead of a failure of the test.
        """

        @wraps(test)
        async def run(*arguments: Any, **keywords: Any) -> None:
            async with self._stack:
                await test(*arguments, **keywords)

        return run


@pytest.fixture
def typedws_connect() -> Connect:
    """Connect to an application under test, in process; the connections are left when the test ends."""
    return Connect()


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Wrap a test that uses the fixture, so that it leaves its connections.

    The hook runs last: pytest's own setup, which makes the fixtures, comes before.
    """
    fixtures: dict[str, object] = getattr(item, "funcargs", {})
    if isinstance(connections := fixtures.get("typedws_connect"), Connect):
        function = cast(pytest.Function, item)
        if not inspect.iscoroutinefunction(function.obj):
            pytest.fail("typedws_connect needs an asynchronous test: use TestClient(app) in others")
        function.obj = connections.wrap(function.obj)
