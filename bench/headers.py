"""Compare `Headers` and `QueryParams` with multidict and with the classic classes. For information only.

multidict takes part twice. ``eager`` decodes everything at once into a proxy. ``lazy`` is what this package would ship
if it were built on multidict: a small class that keeps the raw bytes and builds the same proxy on first use. Memory is
what an instance adds to the raw bytes, which the scope holds in any case.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from starlette.datastructures import Headers as ClassicHeaders
from starlette.datastructures import QueryParams as ClassicQueryParams

from bench.report import Scale, Table, main, stacked, table
from typedws._http.headers import Headers
from typedws._http.query import QueryParams


class Texts(Protocol):
    """The methods that all candidates have."""

    def get(self, key: str, /) -> str | None: ...

    def items(self) -> Iterable[tuple[str, str]]: ...


Build: TypeAlias = Callable[[], Texts]
Step: TypeAlias = Callable[[Build], object]

CALLS = 1_000
INSTANCES = 2_000

RAW = [
    (b"host", b"chat.example.org"),
    (b"connection", b"Upgrade"),
    (b"pragma", b"no-cache"),
    (b"cache-control", b"no-cache"),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    ),
    (b"upgrade", b"websocket"),
    (b"origin", b"https://chat.example.org"),
    (b"sec-websocket-version", b"13"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-GB,en;q=0.9,de;q=0.8"),
    (b"cookie", b"session=eyJ1c2VyIjoxMjN9.Zx4; theme=dark; csrftoken=0123456789abcdef0123456789abcdef"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
    (b"sec-websocket-protocol", b"chat.v2, chat.v1"),
]
QUERY = b"room=lobby&token=eyJhbGciOiJIUzI1NiJ9.e30.abc&since=2026-11-01T00%3A00%3A00Z&tag=a+b"

# Eight names that are present, one of them in mixed case, and two that are absent.
HEADER_NAMES = ["origin", "host", "cookie", "Sec-WebSocket-Protocol", "authorization"]
MORE_HEADER_NAMES = ["user-agent", "upgrade", "connection", "accept-language", "x-forwarded-for"]
PARAMETER_NAMES = ["token", "room", "since", "tag", "limit"] * 2


def fold(raw: Iterable[tuple[bytes, bytes]]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]))


def parse(query: bytes) -> MultiDictProxy[str]:
    return MultiDictProxy(MultiDict(parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True)))


class LazyHeaders:
    __slots__ = ("_built", "_raw")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._built: CIMultiDictProxy[str] | None = None

    def _texts(self) -> CIMultiDictProxy[str]:
        if self._built is None:
            self._built = fold(self._raw)
        return self._built

    def get(self, key: str) -> str | None:
        return self._texts().get(key)

    def items(self) -> Iterable[tuple[str, str]]:
        return self._texts().items()


class LazyParams:
    __slots__ = ("_built", "_query")

    def __init__(self, query: bytes) -> None:
        self._query = query
        self._built: MultiDictProxy[str] | None = None

    def _texts(self) -> MultiDictProxy[str]:
        if self._built is None:
            self._built = parse(self._query)
        return self._built

    def get(self, key: str) -> str | None:
        return self._texts().get(key)

    def items(self) -> Iterable[tuple[str, str]]:
        return self._texts().items()


HEADERS: dict[str, Build] = {
    "ours": lambda: Headers(raw=RAW),
    "multidict lazy": lambda: LazyHeaders(RAW),
    "multidict eager": lambda: fold(RAW),
    "classic": lambda: ClassicHeaders(raw=RAW),
}
PARAMETERS: dict[str, Build] = {
    "ours": lambda: QueryParams(QUERY),
    "multidict lazy": lambda: LazyParams(QUERY),
    "multidict eager": lambda: parse(QUERY),
    "classic": lambda: ClassicQueryParams(QUERY),
}


def build_only(build: Build) -> object:
    return build()


def iterate(build: Build) -> object:
    return list(build().items())


def looking_up(names: list[str]) -> Step:
    def look_up(build: Build) -> object:
        get = build().get
        return [get(name) for name in names]

    return look_up


def nanoseconds(step: Step, build: Build) -> float:
    started = time.perf_counter_ns()
    for _ in range(CALLS):
        step(build)
    return (time.perf_counter_ns() - started) / CALLS


def bytes_per_instance(build: Build, used: bool) -> float:
    def one() -> Texts:
        texts = build()
        if used:
            texts.get("origin")
        return texts

    one()
    tracemalloc.start()
    kept = [one() for _ in range(INSTANCES)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (size - sys.getsizeof(kept)) / INSTANCES


def timed(step: Step, candidates: dict[str, Build], rounds: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, build in candidates.items():
            figures[name].append(nanoseconds(step, build))
    return figures


def compared(title: str, candidates: dict[str, Build], names: list[str], rounds: int) -> Iterator[Table]:
    steps = {
        "build": build_only,
        "and 1 hit": looking_up(names[:1]),
        "and 1 miss": looking_up(["absent"]),
        f"and {len(names)} look-ups": looking_up(names),
        "and iterate": iterate,
    }
    times = {name: table(title, "ns", timed(step, candidates, rounds), "classic") for name, step in steps.items()}
    yield stacked(f"{title}, time", times)
    sizes = {
        name: {each: [bytes_per_instance(build, used)] for each, build in candidates.items()}
        for name, used in (("built", False), ("after 1 look-up", True))
    }
    yield stacked(f"{title}, memory", {name: table(title, "bytes", each, "classic") for name, each in sizes.items()})


def measure(scale: Scale) -> Iterator[Table]:
    rounds = scale.rounds(35)
    yield from compared(f"{len(RAW)} headers", HEADERS, HEADER_NAMES + MORE_HEADER_NAMES, rounds)
    yield from compared("4 query parameters", PARAMETERS, PARAMETER_NAMES, rounds)


if __name__ == "__main__":
    main("bench.headers", measure)
