"""The pytest fixture in whole pytest runs: under anyio's plugin on both backends, pytest-asyncio and pytest-trio."""

from typing import Final

import pytest

pytest_plugins: Final = ["pytester"]

APP: Final = """
import pytest
from typedws import Connection, endpoint

@endpoint
async def echo(ws: Connection[str, str]) -> None:
    async for text in ws:
        if text == "fail":
            raise LookupError("as it was asked to")
        if text == "stay":
            import anyio
            await anyio.sleep_forever()
        await ws.send_model(text)
"""

ANYIO: Final = (
    APP
    + """
pytestmark = pytest.mark.anyio

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
"""
)


RUNNERS: Final = {
    "anyio": ["-p", "no:asyncio", "-p", "no:trio"],
    "asyncio, strict": ["-p", "no:trio", "-o", "asyncio_mode=strict"],
    "asyncio, auto": ["-p", "no:trio", "-o", "asyncio_mode=auto"],
    "trio": ["-p", "no:asyncio"],
}
"""The command line options that choose the plugin for asynchronous tests."""


def run(pytester: pytest.Pytester, code: str, runner: str = "anyio") -> pytest.RunResult:
    pytester.makepyfile(test_it=code)
    scope = ["-o", "asyncio_default_fixture_loop_scope=function"] if runner.startswith("asyncio") else []
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", *RUNNERS[runner], *scope]
    return pytester.runpytest_inprocess(*options)


def test_a_connection_is_left_when_the_test_ends(pytester: pytest.Pytester) -> None:
    code = (
        ANYIO
        + """
async def test_two(typedws_connect):
    ann, bob = await typedws_connect(echo), await typedws_connect(echo)
    for ws in (ann, bob):
        await ws.send_model("hi")
        assert await ws.expect(str) == "hi"

async def test_plain():
    pass
"""
    )
    run(pytester, code).assert_outcomes(passed=4)


def test_a_handlers_exception_fails_the_test_as_itself(pytester: pytest.Pytester) -> None:
    code = (
        ANYIO
        + """
async def test_fails(typedws_connect):
    ws = await typedws_connect(echo)
    await ws.send_model("fail")

async def test_stays(typedws_connect):
    ws = await typedws_connect(echo, timeout=0.05)
    await ws.send_model("stay")
"""
    )
    result = run(pytester, code)
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        ["E * LookupError: as it was asked to", "E *WaitTimeout: expected the application to end after its client*"]
    )


def test_the_fixture_takes_a_contract_and_options(pytester: pytest.Pytester) -> None:
    code = (
        ANYIO
        + """
from typedws import Contract
contract = Contract("echo", Connection[str, str])

async def test_it(typedws_connect):
    ws = await typedws_connect(echo, "/", contract, headers={"x-a": "b"}, timeout=1.0)
    assert ws.headers["x-a"] == "b"
    await ws.send_model("hi")
    assert await ws.receive_model() == "hi"
"""
    )
    run(pytester, code).assert_outcomes(passed=2)


def test_a_synchronous_test_gets_an_error_that_names_the_test_client(pytester: pytest.Pytester) -> None:
    code = (
        APP
        + """
def test_sync(typedws_connect):
    pass
"""
    )
    result = run(pytester, code)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs an asynchronous test: use TestClient(app) in others*"])


@pytest.mark.parametrize("runner", ["asyncio, strict", "asyncio, auto"])
def test_the_fixture_works_under_pytest_asyncio(pytester: pytest.Pytester, runner: str) -> None:
    code = (
        APP
        + """
pytestmark = pytest.mark.asyncio

async def test_it(typedws_connect):
    ws = await typedws_connect(echo)
    await ws.send_model("hi")
    assert await ws.expect(str) == "hi"

@pytest.mark.xfail(raises=LookupError, strict=True)
async def test_fails(typedws_connect):
    ws = await typedws_connect(echo)
    await ws.send_model("fail")
"""
    )
    run(pytester, code, runner).assert_outcomes(passed=1, xfailed=1)


def test_a_connection_in_a_fixture_of_pytest_asyncio_is_opened_and_left_in_different_tasks(
    pytester: pytest.Pytester,
) -> None:
    code = (
        APP
        + """
import pytest_asyncio
from typedws.testing import connect

@pytest_asyncio.fixture
async def ws():
    async with connect(echo) as ws:
        yield ws

@pytest.mark.asyncio
async def test_it(ws):
    await ws.send_model("hi")
    assert await ws.expect(str) == "hi"
"""
    )
    run(pytester, code, "asyncio, strict").assert_outcomes(passed=1)


def test_the_fixture_works_under_pytest_trio(pytester: pytest.Pytester) -> None:
    code = (
        APP
        + """
@pytest.mark.trio
async def test_it(typedws_connect):
    ws = await typedws_connect(echo)
    await ws.send_model("hi")
    assert await ws.expect(str) == "hi"
"""
    )
    run(pytester, code, "trio").assert_outcomes(passed=1)
