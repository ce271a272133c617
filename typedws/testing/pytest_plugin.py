"""The plugin for pytest: the fixture ``typedws_connect``, for whichever plugin runs a test that awaits."""

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
    """``ws = await typedws_connect(app, "/chat/lobby", chat)``: as `connect`, but left when the test ends."""

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
        """Connect. Takes and raises what `connect` does."""
        connecting: TestConnecting[Any, Any] = connect(app, path, cast(Any, contract), **options)
        return await self._stack.enter_async_context(connecting)

    def around(self, test: Any) -> Any:
        """Make the test leave its connections where it ends, in its own task: it may raise what their handlers did."""

        @wraps(test)
        async def run(*arguments: Any, **named: Any) -> None:
            async with self._stack:
                await test(*arguments, **named)

        return run


@pytest.fixture
def typedws_connect() -> Connect:
    """Connect to an application under test, in process; all connections are left when the test ends."""
    return Connect()


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let a test leave what it has connected; its fixtures are made by now."""
    made: dict[str, object] = getattr(item, "funcargs", {})
    if isinstance(found := made.get("typedws_connect"), Connect):
        function = cast(pytest.Function, item)
        if not inspect.iscoroutinefunction(function.obj):
            pytest.fail("typedws_connect: expected an asynchronous test, found one that is not: use TestClient(app)")
        function.obj = found.around(function.obj)
