"""Path templates such as ``/chat/{room}``: parsing, matching and rendering. No routes, handlers or requests here.

A template is literal except for its parameters, ``{name}`` or ``{name:converter}``. Matching takes time linear in the
length of the path, whatever a client sends. A path from :meth:`PathTemplate.render`, when decoded, matches its template
with the same values. To guarantee both, a template that a path could match in two ways is refused when it is created.
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
    """How the values of a parameter are matched, converted and rendered.

    ``name`` is its name in templates, ``expected`` describes its values in errors. ``pattern`` alone decides what
    matches: ``type`` converts every text that it matches. ``cannot_hold`` is whether a character next to a value always
    lies outside it. ``write`` renders a value as text.
    """

    name: str
    type: type[Any]
    expected: str
    pattern: str
    cannot_hold: Callable[[str], bool]
    write: Callable[[Any], str] = str


def _write_float(value: float) -> str:
    return format(Decimal(repr(float(value))), "f")


def _never(_: str) -> bool:
    return False


def _always(_: str) -> bool:
    return True


_DIGITS: Final = "0123456789"

# The limits of digits keep conversion from raising. Any integer of 640 digits converts: Python's limit cannot be set
# lower (sys.int_info.str_digits_check_threshold). Any number with 308 digits before its point is finite, and 400 digits
# after it can write the smallest float.
_ALL: Final = (
    Converter("str", str, "text without a slash, not empty", "[^/]+", "/".__eq__),
    Converter(
        "int",
        int,
        "a non-negative integer of at most 640 digits",
        "[0-9]{1,640}",
        lambda each: each not in _DIGITS,
    ),
    Converter(
        "float",
        float,
        "a non-negative number below 1e308",
        r"[0-9]{1,308}(?:\.[0-9]{1,400})?",
        lambda each: each not in _DIGITS and each != ".",
        _write_float,
    ),
    # A UUID always has 32 digits, so any character next to it is outside it.
    Converter("uuid", UUID, "a UUID", "[0-9a-fA-F]{8}" + "-?[0-9a-fA-F]{4}" * 3 + "-?[0-9a-fA-F]{12}", _always),
    # Without the flag `s`, a path with a line break (%0A) would not match.
    Converter("path", str, "text", "(?s:.*)", _never),
)
CONVERTERS: Final[Mapping[str, Converter]] = MappingProxyType({each.name: each for each in _ALL})
"""Every converter, by its name in templates; ``{name}`` means ``{name:str}``."""


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A path with typed parameters, such as ``/rooms/{id:int}/{name}``: it matches paths, and renders them from values.

    The converters are ``str`` (one segment or a part of one, not empty), ``int`` and ``float`` (ASCII digits, no sign),
    ``uuid``, and ``path`` (the rest, including slashes; it may be empty). The static parts match literally, including a
    slash at the end. Write them decoded: ``/über``, not ``/%C3%BCber``.

    ``names`` are the parameters in order, ``converters`` maps each to its converter, and ``address`` is the template
    without converters, as AsyncAPI writes it: ``/rooms/{id}/{name}``. Templates of the same text are equal.

    :raises InvalidPath: if the text is not a template, or if some path would match it in two ways.
    """

    template: str
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    converters: Mapping[str, Converter] = field(init=False, repr=False, compare=False)
    address: str = field(init=False, repr=False, compare=False)
    _statics: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _types: tuple[tuple[str, Callable[[str], Any]], ...] = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        statics, params = _parse(self.template)
        _check_separation(self.template, statics, params)
        for name, value in {
            "names": tuple(name for name, _ in params),
            "converters": MappingProxyType(dict(params)),
            "address": _interleave(statics, [f"{{{name}}}" for name, _ in params]),
            "_statics": statics,
            "_types": tuple((name, converter.type) for name, converter in params),
            "_pattern": re.compile(_interleave(map(re.escape, statics), [f"({each.pattern})" for _, each in params])),
        }.items():
            object.__setattr__(self, name, value)  # the class is frozen

    def match(self, path: str) -> Mapping[str, Any] | None:
        """Return the converted values of a path that the template matches in full, or ``None``. Never raises.

        ``path`` is percent-decoded, as ``scope["path"]`` is. Values may contain any character, even control characters.
        """
        match = self._pattern.fullmatch(path)
        if match is None:
            return None
        return {name: convert(text) for (name, convert), text in zip(self._types, match.groups(), strict=True)}

    # `self` is positional only, so that a parameter may have this name.
    def render(self, /, **values: object) -> str:
        """Return the path with these values, percent-encoded (RFC 3986 section 3.3).

        :raises InvalidPath: if a value is missing, unknown, or would not come back from :meth:`match`; or if it makes
            a segment ``.`` or ``..``, which clients resolve before they send the path.
        """
        for name in sorted(values.keys() - self.converters.keys()):
            raise self._invalid(name, "left out, as there is no such parameter", _shown(values[name]))
        path = _interleave(self._statics, [self._value_text(name, values) for name in self.names])
        if not _DOT_SEGMENTS.isdisjoint(path.split("/")):
            raise self._invalid(
                " and ".join(self.names), 'a value that does not make a "." or ".." segment', _shown(path)
            )
        encoded = quote(path, safe=_SAFE)
        # A URL reference that begins with `//` names another host (RFC 3986 section 4.2).
        return f"/%2F{encoded[2:]}" if encoded.startswith("//") else encoded

    def _value_text(self, name: str, values: Mapping[str, object]) -> str:
        converter = self.converters[name]
        if name not in values:
            raise self._invalid(name, converter.expected, "none")
        text = _render_value(converter, values[name])
        if text is None:
            raise self._invalid(name, converter.expected, _shown(values[name]))
        return text

    def _invalid(self, name: str, expected: str, found: str) -> InvalidPath:
        return InvalidPath(f"{name} in the path {self.template!r} to be {expected}", found)


def _render_value(converter: Converter, value: object) -> str | None:
    # `float(True)` equals `True`, so a truth value would pass as a number.
    if isinstance(value, bool):
        return None
    try:
        text = converter.write(value)
        text.encode()  # raises for a lone surrogate, which cannot be percent-encoded
        round_trips = re.fullmatch(converter.pattern, text) and converter.type(text) == value
    except (ValueError, TypeError, OverflowError):
        return None
    return text if round_trips else None


_SAFE: Final = "/!$&'()*+,;=:@"  # RFC 3986 section 3.3
_DOT_SEGMENTS: Final = frozenset({".", ".."})  # RFC 3986 section 5.2.4
# A parameter contains no brace, so nested and unpaired braces stay in the static parts, where they are reported.
_PARAMETER: Final = re.compile(r"\{([^{}]*)\}")
_MAX_SHOWN: Final = 50

_Params = list[tuple[str, Converter]]


def _parse(template: str) -> tuple[tuple[str, ...], _Params]:
    parts = _PARAMETER.split(template)
    statics, params = tuple(parts[::2]), [_parse_param(template, spec) for spec in parts[1::2]]
    for problem in _problems(template, statics, [name for name, _ in params]):
        raise _invalid(template, *problem)
    return statics, params


def _parse_param(template: str, spec: str) -> tuple[str, Converter]:
    name, colon, kind = spec.partition(":")
    if not (name.isascii() and name.isidentifier()):
        raise _invalid(template, "a parameter name that is a Python identifier", repr(name), "write {room} or {id:int}")
    converter = CONVERTERS.get(kind if colon else "str")
    if converter is None:
        raise _invalid(template, f"one of the converters {', '.join(CONVERTERS)}", repr(kind), "write {id:int}")
    return name, converter


def _problems(template: str, statics: tuple[str, ...], names: list[str]) -> Iterator[tuple[str, str, str]]:
    text = "".join(statics)
    if not template.startswith("/"):
        yield "a slash at the start", repr(template[:1]), f"write {'/' + template!r}"
    for character in "{}":
        if character in text:
            yield "matching braces", f"a lone {character!r}", "write {room} or {id:int}"
    for character in "?#":
        if character in text:
            yield "a path without query and fragment", repr(character), "leave them out"
    if not _DOT_SEGMENTS.isdisjoint(template.split("/")):
        yield 'no segment "." or ".."', "one", "clients resolve it before they send a path"
    if any("\ud800" <= character <= "\udfff" for character in text):
        yield "text that UTF-8 can encode", "a lone surrogate", "write the character itself"
    for name in names:
        if names.count(name) > 1:
            yield "different parameter names", f"{name!r} twice", "rename one of them"


def _check_separation(template: str, statics: tuple[str, ...], params: _Params) -> None:
    # Any two parameters need a character between them that one of the two cannot hold. Otherwise some path would match
    # in two ways, and refusing a path with many candidates could take quadratic time.
    for (start, (left, first)), (end, (right, second)) in combinations(enumerate(params, 1), 2):
        between = "".join(statics[start:end])
        if not any(first.cannot_hold(each) or second.cannot_hold(each) for each in between):
            raise _invalid(
                template,
                f"a character between {{{left}}} and {{{right}}} that one of them cannot contain",
                repr(between) if between else "nothing",
                "remove one of them" if first is second is CONVERTERS["path"] else "insert a slash",
            )


def _invalid(template: str, expected: str, found: str, hint: str) -> InvalidPath:
    return InvalidPath(expected, f"{found} in the path {template!r}", hint)


def _interleave(statics: Iterable[str], between: list[str]) -> str:
    first, *rest = statics
    return first + "".join(each + static for each, static in zip(between, rest, strict=True))


def _shown(value: object) -> str:
    try:
        shown = ascii(value)
    except ValueError:  # an integer of more digits than Python converts to text
        return type(value).__name__
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[: _MAX_SHOWN - 3]}..."
