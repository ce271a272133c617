"""`typedws._http.path_templates`: parsing templates, matching paths and rendering them."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest

from typedws._http.path_templates import CONVERTERS, PathTemplate
from typedws.exceptions import InvalidPath

ID = UUID("01234567-89ab-cdef-0123-456789abcdef")

MATCHES: dict[str, tuple[str, str, Mapping[str, Any] | None]] = {
    "a static path": ("/chat", "/chat", {}),
    "the root": ("/", "/", {}),
    "another path": ("/chat", "/chats", None),
    "the start of a path": ("/chat", "/chat/1", None),
    "a slash at the end": ("/chat", "/chat/", None),
    "no slash at the end": ("/chat/", "/chat", None),
    "a line break at the end": ("/chat", "/chat\n", None),
    "an empty path": ("/", "", None),
    "upper case": ("/chat", "/Chat", None),
    "static parts are literal": ("/a.b+c", "/a.b+c", {}),
    "static parts are not patterns": ("/a.b", "/axb", None),
    "static parts are decoded": ("/über uns", "/über uns", {}),
    "a segment": ("/chat/{room}", "/chat/lobby", {"room": "lobby"}),
    "a segment, with its converter": ("/chat/{room:str}", "/chat/lobby", {"room": "lobby"}),
    "an empty segment": ("/chat/{room}", "/chat/", None),
    "two segments": ("/chat/{room}", "/chat/a/b", None),
    "any character but a slash": ("/chat/{room}", "/chat/a\0\n%2F ü\ud800", {"room": "a\0\n%2F ü\ud800"}),
    "a part of a segment": ("/{name}.csv", "/a.b.csv", {"name": "a.b"}),
    "an integer": ("/{id:int}", "/42", {"id": 42}),
    "leading zeros": ("/{id:int}", "/007", {"id": 7}),
    "zero": ("/{id:int}", "/0", {"id": 0}),
    "640 digits": ("/{id:int}", "/" + "9" * 640, {"id": 10**640 - 1}),
    "641 digits": ("/{id:int}", "/" + "9" * 641, None),
    "5,000 digits": ("/{id:int}", "/" + "9" * 5000, None),
    "a negative integer": ("/{id:int}", "/-1", None),
    "a sign": ("/{id:int}", "/+1", None),
    "a separator": ("/{id:int}", "/1_000", None),
    "digits of another script": ("/{id:int}", "/٤٢", None),
    "an integer and a line break": ("/{id:int}", "/42\n", None),
    "not an integer": ("/{id:int}", "/4.2", None),
    "a number": ("/{at:float}", "/4.25", {"at": 4.25}),
    "a number without a point": ("/{at:float}", "/4", {"at": 4.0}),
    "a number of 308 digits": ("/{at:float}", "/" + "9" * 308, {"at": float("9" * 308)}),
    "a number of 309 digits": ("/{at:float}", "/" + "9" * 309, None),
    "a point at the end": ("/{at:float}", "/4.", None),
    "a point at the start": ("/{at:float}", "/.5", None),
    "an exponent": ("/{at:float}", "/1e5", None),
    "infinity": ("/{at:float}", "/inf", None),
    "not a number": ("/{at:float}", "/nan", None),
    "a UUID": ("/{id:uuid}", f"/{ID}", {"id": ID}),
    "a UUID in upper case": ("/{id:uuid}", f"/{ID}".upper(), {"id": ID}),
    "a UUID without dashes": ("/{id:uuid}", f"/{ID.hex}", {"id": ID}),
    "a UUID in braces": ("/{id:uuid}", f"/{{{ID}}}", None),
    "half a UUID": ("/{id:uuid}", "/01234567-89ab", None),
    "the rest": ("/files/{rest:path}", "/files/a/b.txt", {"rest": "a/b.txt"}),
    "an empty rest": ("/files/{rest:path}", "/files/", {"rest": ""}),
    "no slash before the rest": ("/files/{rest:path}", "/files", None),
    "a line break in the rest": ("/files/{rest:path}", "/files/a\nb", {"rest": "a\nb"}),
    "slashes at both ends of the rest": ("/files/{rest:path}", "/files//a/", {"rest": "/a/"}),
    "everything": ("/{rest:path}", "/", {"rest": ""}),
    "static text after the rest": ("/files/{rest:path}/edit", "/files/a/edit/edit", {"rest": "a/edit"}),
    "a rest and a segment": ("/{rest:path}/{name}", "/a/b/c", {"rest": "a/b", "name": "c"}),
    "several parameters": ("/{org}/{id:int}/{at:float}", "/o/1/2.5", {"org": "o", "id": 1, "at": 2.5}),
    "an integer before text": ("/{id:int}-{slug}", "/7-a-1", {"id": 7, "slug": "a-1"}),
    "an integer after text": ("/{slug}-{id:int}", "/a-1-7", {"slug": "a-1", "id": 7}),
    "a UUID after text": ("/{slug}-{id:uuid}", f"/a-1-{ID}", {"slug": "a-1", "id": ID}),
    "two integers": ("/{width:int}x{height:int}", "/640x480", {"width": 640, "height": 480}),
    "two numbers": ("/{lat:float},{lon:float}", "/48.1,11.5", {"lat": 48.1, "lon": 11.5}),
    "names of Python's own": ("/{self}/{class}", "/a/b", {"self": "a", "class": "b"}),
}


@pytest.mark.parametrize(("template", "path", "values"), MATCHES.values(), ids=MATCHES)
def test_a_path_is_matched_in_full_and_converted(template: str, path: str, values: Mapping[str, Any] | None) -> None:
    match = PathTemplate(template).match(path)
    assert match == values
    assert match is None or values is None or [*map(type, match.values())] == [*map(type, values.values())]


class Level(IntEnum):
    HIGH = 3


class Colour(StrEnum):
    RED = "red"


RENDERED: dict[str, tuple[str, dict[str, object], str]] = {
    "a static path": ("/chat", {}, "/chat"),
    "the root": ("/", {}, "/"),
    "text": ("/chat/{room}", {"room": "lobby"}, "/chat/lobby"),
    "text that must be encoded": ("/chat/{room}", {"room": "a b?#%ü\n"}, "/chat/a%20b%3F%23%25%C3%BC%0A"),
    "text that need not be encoded": ("/{it}", {"it": "-._~!$&'()*+,;=:@"}, "/-._~!$&'()*+,;=:@"),
    "static parts that must be encoded": ("/über uns/{it}", {"it": "a"}, "/%C3%BCber%20uns/a"),
    "a backslash": ("/{it}", {"it": "\\"}, "/%5C"),
    "dots and more": ("/{it}", {"it": "..."}, "/..."),
    "an enumeration's text": ("/{it}", {"it": Colour.RED}, "/red"),
    "an integer": ("/{id:int}", {"id": 42}, "/42"),
    "an enumeration's integer": ("/{id:int}", {"id": Level.HIGH}, "/3"),
    "a number": ("/{at:float}", {"at": 0.1}, "/0.1"),
    "a small number": ("/{at:float}", {"at": 1e-10}, "/0.0000000001"),
    "a big number": ("/{at:float}", {"at": 1e22}, "/10000000000000000000000"),
    "an integer as a number": ("/{at:float}", {"at": 3}, "/3.0"),
    "a UUID": ("/{id:uuid}", {"id": ID}, f"/{ID}"),
    "a path": ("/files/{rest:path}", {"rest": "a/b c"}, "/files/a/b%20c"),
    "an empty path": ("/files/{rest:path}", {"rest": ""}, "/files/"),
    "a path that would be a host": ("/{rest:path}", {"rest": "/evil.example/a"}, "/%2Fevil.example/a"),
    "names of Python's own": ("/{self}/{class}", {"self": "a", "class": "b"}, "/a/b"),
}


@pytest.mark.parametrize(("template", "values", "path"), RENDERED.values(), ids=RENDERED)
def test_a_path_is_rendered_from_values(template: str, values: dict[str, object], path: str) -> None:
    assert PathTemplate(template).render(**values) == path


class Unequal(str):
    """A text that does not equal the text that it is rendered as."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return False


NOT_RENDERED: dict[str, tuple[str, dict[str, object]]] = {
    "a missing value": ("/{it}", {}),
    "an unknown value": ("/{it}", {"it": "a", "that": "b"}),
    "None": ("/{it}", {"it": None}),
    "empty text": ("/{it}", {"it": ""}),
    "a slash": ("/{it}", {"it": "a/b"}),
    "a lone surrogate": ("/{it}", {"it": "\ud800"}),
    "an integer as text": ("/{it}", {"it": 7}),
    "bytes as text": ("/{it}", {"it": b"a"}),
    "text that equals no other": ("/{it}", {"it": Unequal("a")}),
    "a dot": ("/{it}", {"it": "."}),
    "two dots": ("/a/{it}", {"it": ".."}),
    "two dots in a path": ("/files/{it:path}", {"it": "a/../b"}),
    "two dots, with a static one": ("/{it}.", {"it": "."}),
    "a negative integer": ("/{it:int}", {"it": -1}),
    "a truth value": ("/{it:int}", {"it": True}),
    "a truth value as a number": ("/{it:float}", {"it": True}),
    "text as an integer": ("/{it:int}", {"it": "7"}),
    "a number as an integer": ("/{it:int}", {"it": 7.0}),
    "an integer too big": ("/{it:int}", {"it": 10**640}),
    "an integer too big for text": ("/{it:int}", {"it": 10**5000}),
    "a negative number": ("/{it:float}", {"it": -0.5}),
    "infinity": ("/{it:float}", {"it": float("inf")}),
    "not a number": ("/{it:float}", {"it": float("nan")}),
    "a number too big": ("/{it:float}", {"it": 1e308}),
    "an integer too big for a number": ("/{it:float}", {"it": 10**400}),
    "an integer that no number equals": ("/{it:float}", {"it": 2**53 + 1}),
    "text as a number": ("/{it:float}", {"it": "0.5"}),
    "text that is not a number": ("/{it:float}", {"it": "a"}),
    "text as a UUID": ("/{it:uuid}", {"it": str(ID)}),
    "an integer as a path": ("/{it:path}", {"it": 7}),
}


@pytest.mark.parametrize(("template", "values"), NOT_RENDERED.values(), ids=NOT_RENDERED)
def test_a_value_that_would_not_match_again_is_refused(template: str, values: dict[str, object]) -> None:
    with pytest.raises(InvalidPath) as caught:
        PathTemplate(template).render(**values)
    assert caught.value.expected.startswith("that" if "that" in values else "it")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("template", "values", "error"),
    [
        ("/{it}", {}, "expected it in the path '/{it}' to be text without a slash, not empty, found none"),
        ("/{it}", {"it": "a/b"}, "expected it in the path '/{it}' to be text without a slash, not empty, found 'a/b'"),
        (
            "/{it}",
            {"it": "a", "at": 1},
            "expected at in the path '/{it}' to be left out, as there is no such parameter, found 1",
        ),
        (
            "/a/{it}",
            {"it": ".."},
            'expected it in the path \'/a/{it}\' to be a value that does not make a "." or ".." segment, '
            "found '/a/..'",
        ),
        (
            "/{it:int}",
            {"it": -(10**60)},
            "expected it in the path '/{it:int}' to be a non-negative integer of at most 640 digits, found -1"
            + "0" * 45
            + "...",
        ),
        (
            "/{it:int}",
            {"it": 10**5000},
            "expected it in the path '/{it:int}' to be a non-negative integer of at most 640 digits, found int",
        ),
        ("/{it:uuid}", {"it": "ü"}, "expected it in the path '/{it:uuid}' to be a UUID, found '\\xfc'"),
    ],
)
def test_the_error_describes_an_invalid_value(template: str, values: dict[str, object], error: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        PathTemplate(template).render(**values)
    assert str(caught.value) == error


INVALID_TEMPLATES = {
    "empty": ("", "expected a slash at the start, found '': write '/'"),
    "no slash": ("chat/{room}", "expected a slash at the start, found 'c': write '/chat/{room}'"),
    "a parameter at the start": ("{room}", "expected a slash at the start, found '{': write '/{room}'"),
    "an unknown converter": (
        "/{id:integer}",
        "expected one of the converters str, int, float, uuid, path, found 'integer': write {id:int}",
    ),
    "an empty converter": (
        "/{id:}",
        "expected one of the converters str, int, float, uuid, path, found '': write {id:int}",
    ),
    "a converter with a blank": (
        "/{id: int}",
        "expected one of the converters str, int, float, uuid, path, found ' int': write {id:int}",
    ),
    "a name twice": ("/{a}/{b}/{a}", "expected different parameter names, found 'a' twice: rename one of them"),
    "no name": ("/{}", "expected a parameter name that is a Python identifier, found '': write {room} or {id:int}"),
    "a name with a dash": (
        "/{a-b}",
        "expected a parameter name that is a Python identifier, found 'a-b': write {room} or {id:int}",
    ),
    "a name that is a number": (
        "/{1}",
        "expected a parameter name that is a Python identifier, found '1': write {room} or {id:int}",
    ),
    "a name with blanks": (
        "/{ a }",
        "expected a parameter name that is a Python identifier, found ' a ': write {room} or {id:int}",
    ),
    "a name that is not ASCII": (
        "/{größe}",
        "expected a parameter name that is a Python identifier, found 'größe': write {room} or {id:int}",
    ),
    "a brace not closed": ("/chat/{room", "expected matching braces, found a lone '{': write {room} or {id:int}"),
    "a brace not opened": ("/chat/room}", "expected matching braces, found a lone '}': write {room} or {id:int}"),
    "braces in braces": ("/{{room}}", "expected matching braces, found a lone '{': write {room} or {id:int}"),
    "a query": ("/chat?room={room}", "expected a path without query and fragment, found '?': leave them out"),
    "a fragment": ("/chat#{room}", "expected a path without query and fragment, found '#': leave them out"),
    "a dot": ("/a/./b", 'expected no segment "." or "..", found one: clients resolve it before they send a path'),
    "two dots": ("/a/..", 'expected no segment "." or "..", found one: clients resolve it before they send a path'),
    "a lone surrogate": (
        "/\ud800",
        "expected text that UTF-8 can encode, found a lone surrogate: write the character itself",
    ),
    "nothing between two parameters": (
        "/{a}{b:int}",
        "expected a character between {a} and {b} that one of them cannot contain, found nothing: insert a slash",
    ),
    "two texts in a segment": (
        "/{name}.{ending}",
        "expected a character between {name} and {ending} that one of them cannot contain, found '.': insert a slash",
    ),
    "a digit between integers": (
        "/{a:int}0{b:int}",
        "expected a character between {a} and {b} that one of them cannot contain, found '0': insert a slash",
    ),
    "a point before a number": (
        "/{name}.{at:float}",
        "expected a character between {name} and {at} that one of them cannot contain, found '.': insert a slash",
    ),
    "two texts around an integer": (
        "/{a}-{id:int}-{b}",
        "expected a character between {a} and {b} that one of them cannot contain, found '--': insert a slash",
    ),
    "text and the rest in a segment": (
        "/{a}-{rest:path}",
        "expected a character between {a} and {rest} that one of them cannot contain, found '-': insert a slash",
    ),
}


@pytest.mark.parametrize(("template", "problem"), INVALID_TEMPLATES.values(), ids=INVALID_TEMPLATES)
def test_the_error_describes_an_invalid_template(template: str, problem: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        PathTemplate(template)
    expected, colon, hint = problem.partition(": ")
    assert str(caught.value) == f"{expected} in the path {template!r}{colon}{hint}"


def test_two_rests_are_refused_whatever_is_between_them() -> None:
    with pytest.raises(InvalidPath, match=r"found '/x/' in the path .*: remove one of them$"):
        PathTemplate("/{a:path}/x/{b:path}")


def test_a_template_has_names_converters_and_an_address() -> None:
    template = PathTemplate("/rooms/{id:int}/{name}/{rest:path}")
    assert template.template == "/rooms/{id:int}/{name}/{rest:path}"
    assert template.names == ("id", "name", "rest")
    assert template.address == "/rooms/{id}/{name}/{rest}"
    assert {name: each.type for name, each in template.converters.items()} == {"id": int, "name": str, "rest": str}
    assert template.converters["rest"] is CONVERTERS["path"]


def test_a_template_is_an_immutable_value() -> None:
    template = PathTemplate("/chat/{room}")
    assert template == PathTemplate("/chat/{room}") != PathTemplate("/chat/{name}")
    assert {template, PathTemplate("/chat/{room}")} == {template}
    assert repr(template) == "PathTemplate(template='/chat/{room}')"
    with pytest.raises(AttributeError):
        template.template = "/"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        template.converters["room"] = CONVERTERS["int"]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]


SLOW = {
    "/{a}-{b:int}-{c:int}/x": "1-",
    "/{name}aaaa/x": "a",
    "/{rest:path}/{a}/{b}/{c}/x": "a/",
    "/{rest:path}-{id:int}/x": "-1",
    "/{at:float}.{id:int}.{last:int}/x": "1.",
}


@pytest.mark.parametrize("template", SLOW)
def test_a_long_path_does_not_take_quadratic_time(template: str) -> None:
    # In quadratic time, these would take minutes and exceed the time limit of a test.
    assert PathTemplate(template).match("/" + SLOW[template] * 300_000) is None
