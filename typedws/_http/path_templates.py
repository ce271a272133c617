"""Path templates such as ``/chat/{room}``: read, matched and rendered. No route, handler or request is known here.

A template is literal but for its parameters, ``{name}`` or ``{name:converter}``. Matching takes time linear in the
path, whatever a client sends, and what :meth:`PathTemplate.render` makes matches with the values that it was made of:
templates that could be read in two ways are refused when they are written.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from typedws.exceptions import InvalidPath

__all__ = ["CONVERTERS", "Converter", "PathTemplate"]


@dataclass(frozen=True, slots=True)
class Converter:
    """What one parameter matches: its name in templates, the type of its values, and how they are written.

    ``pattern`` decides alone: what it matches, ``type`` converts. ``cannot_hold`` tells of a character whether it ends
    what the pattern matches.
    """

    name: str
    type: type[Any]
    expected: str
    pattern: str
    cannot_hold: Callable[[str], bool]
    write: Callable[[Any], str] = str


def _write_float(value: float) -> str:
    return format(Decimal(repr(float(value))), "f")


def _nothing(_: str) -> bool:
    return False


def _anything(_: str) -> bool:
    return True


_DIGITS: Final = "0123456789"

# Any integer of 640 digits converts: no lower limit can be set (sys.int_info.str_digits_check_threshold). Any number
# with 308 digits before its point is finite, and 400 after it hold the smallest float.
_ALL: Final = (
    Converter("str", str, "text without a slash, not empty", "[^/]+", "/".__eq__),
    Converter("int", int, "an integer from 0, of at most 640 digits", "[0-9]{1,640}", lambda each: each not in _DIGITS),
    Converter(
        "float",
        float,
        "a number from 0, below 1e308",
        r"[0-9]{1,308}(?:\.[0-9]{1,400})?",
        lambda each: each not in _DIGITS and each != ".",
        _write_float,
    ),
    # It always has 32 digits, so that any text behind it, or before it, is seen as such.
    Converter("uuid", UUID, "a UUID", "[0-9a-fA-F]{8}" + "-?[0-9a-fA-F]{4}" * 3 + "-?[0-9a-fA-F]{12}", _anything),
    Converter("path", str, "text", "(?s:.*)", _nothing),
)
CONVERTERS: Final[Mapping[str, Converter]] = MappingProxyType({each.name: each for each in _ALL})
"""Every converter, by the name that a template gives it; ``{name}`` is ``{name:str}``."""


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A path with typed parameters, such as ``/rooms/{id:int}/{name}``; equal to another of the same text.

    Its converters are ``str`` (one segment or part of one, not empty), ``int`` and ``float`` (ASCII digits, no sign),
    ``uuid``, and ``path`` (the rest, slashes included; it may be empty). The static parts match literally, a slash at
    the end included, and are written as they are decoded: ``/über``, not ``/%C3%BCber``.

    ``names`` are the parameters in their order, ``converters`` what each is, ``address`` is the template without
    converters, as AsyncAPI writes it: ``/rooms/{id}/{name}``.

    :raises InvalidPath: no template, or one that some path would match in two ways.
    """

    template: str
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    converters: Mapping[str, Converter] = field(init=False, repr=False, compare=False)
    address: str = field(init=False, repr=False, compare=False)
    _statics: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _types: tuple[tuple[str, Callable[[str], Any]], ...] = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        statics, params = _read(self.template)
        _check_separation(self.template, statics, params)
        for name, value in {
            "names": tuple(name for name, _ in params),
            "converters": MappingProxyType(dict(params)),
            "address": _woven(statics, [f"{{{name}}}" for name, _ in params]),
            "_statics": statics,
            "_types": tuple((name, converter.type) for name, converter in params),
            "_pattern": re.compile(_woven(map(re.escape, statics), [f"({each.pattern})" for _, each in params])),
        }.items():
            object.__setattr__(self, name, value)

    def match(self, path: str) -> Mapping[str, Any] | None:
        """Give the converted values of a path that the template matches in full, or ``None``. Never raises.

        ``path`` is percent-decoded, as ``scope["path"]`` is. Values may hold any character, control characters
        included.
        """
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        return {name: convert(text) for (name, convert), text in zip(self._types, found.groups(), strict=True)}

    def render(self, /, **values: object) -> str:
        """Write the path with these values, percent-encoded (RFC 3986 section 3.3).

        :raises InvalidPath: a value is missing, unknown, or would not come back from :meth:`match`; or it makes
            a segment ``.`` or ``..``, which clients resolve before they send it.
        """
        for name in sorted(values.keys() - self.converters.keys()):
            raise self._invalid(name, "left out, as there is no such parameter", _shown(values[name]))
        path = _woven(self._statics, [self._written(name, values) for name in self.names])
        if not _DOTS.isdisjoint(path.split("/")):
            raise self._invalid(" and ".join(self.names), 'no segment "." or ".."', _shown(path))
        encoded = quote(path, safe=_SAFE)
        # As a reference, `//name` would be a host.
        return f"/%2F{encoded[2:]}" if encoded.startswith("//") else encoded

    def _written(self, name: str, values: Mapping[str, object]) -> str:
        converter = self.converters[name]
        if name not in values:
            raise self._invalid(name, converter.expected, "none")
        text = _written(converter, values[name])
        if text is None:
            raise self._invalid(name, converter.expected, _shown(values[name]))
        return text

    def _invalid(self, name: str, expected: str, found: str) -> InvalidPath:
        return InvalidPath(f"{name} in the path {self.template!r} to be {expected}", found)


def _written(converter: Converter, value: object) -> str | None:
    if isinstance(value, bool):  # Equal to 0 or 1, and not meant as one.
        return None
    try:
        text = converter.write(value)
        text.encode()
        comes_back = re.fullmatch(converter.pattern, text) and converter.type(text) == value
    except (ValueError, TypeError, OverflowError):
        return None
    return text if comes_back else None


_SAFE: Final = "/!$&'()*+,;=:@"  # RFC 3986 section 3.3
_DOTS: Final = frozenset({".", ".."})  # RFC 3986 section 5.2.4
_PARAMETER: Final = re.compile(r"\{([^{}]*)\}")
_MAX_SHOWN: Final = 50

_Params = list[tuple[str, Converter]]


def _read(template: str) -> tuple[tuple[str, ...], _Params]:
    parts = _PARAMETER.split(template)
    statics, params = tuple(parts[::2]), [_param(template, spec) for spec in parts[1::2]]
    for problem in _problems(template, statics, [name for name, _ in params]):
        raise _invalid(template, *problem)
    return statics, params


def _param(template: str, spec: str) -> tuple[str, Converter]:
    name, colon, wanted = spec.partition(":")
    if not (name.isascii() and name.isidentifier()):
        raise _invalid(template, "a parameter called as in Python", repr(name), "write {room} or {id:int}")
    converter = CONVERTERS.get(wanted if colon else "str")
    if converter is None:
        raise _invalid(template, f"one of the converters {', '.join(CONVERTERS)}", repr(wanted), "write {id:int}")
    return name, converter


def _problems(template: str, statics: tuple[str, ...], names: list[str]) -> Iterator[tuple[str, str, str]]:
    text = "".join(statics)
    if not template.startswith("/"):
        yield "a slash at its start", repr(template[:1]), f"write {'/' + template!r}"
    for character in "{}":
        if character in text:
            yield "every brace in a pair", f"a lone {character!r}", "write {room} or {id:int}"
    for character in "?#":
        if character in text:
            yield "a path alone", repr(character), "a query is no part of it"
    if not _DOTS.isdisjoint(template.split("/")):
        yield 'no segment "." or ".."', "one", "clients resolve it before they send a path"
    if any("\ud800" <= character <= "\udfff" for character in text):
        yield "text that UTF-8 can encode", "a lone surrogate", "write the character itself"
    for name in names:
        if names.count(name) > 1:
            yield "every parameter once", f"{name!r} twice", "give one another name"


def _check_separation(template: str, statics: tuple[str, ...], params: _Params) -> None:
    # Any two parameters need a character between them that one of the two cannot hold, else some path would match in
    # two ways, and to find none among many could take quadratic time.
    for (start, (left, one)), (end, (right, other)) in combinations(enumerate(params, 1), 2):
        between = "".join(statics[start:end])
        if not any(one.cannot_hold(each) or other.cannot_hold(each) for each in between):
            raise _invalid(
                template,
                f"between {{{left}}} and {{{right}}} what ends the one or the other",
                repr(between) if between else "nothing",
                "keep one of them" if one is other is CONVERTERS["path"] else "put a slash there",
            )


def _invalid(template: str, expected: str, found: str, hint: str) -> InvalidPath:
    return InvalidPath(expected, f"{found} in the path {template!r}", hint)


def _woven(statics: Iterable[str], between: list[str]) -> str:
    first, *rest = statics
    return first + "".join(each + static for each, static in zip(between, rest, strict=True))


def _shown(value: object) -> str:
    try:
        shown = ascii(value)
    except ValueError:  # An integer of more digits than Python writes.
        return type(value).__name__
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 3]}..."
