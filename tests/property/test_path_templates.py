"""A path that a template renders matches it with the same values, and no path makes matching raise."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedws._http.path_templates import CONVERTERS, PathTemplate
from typedws.exceptions import InvalidPath

# Of characters that parameters may contain too, so that templates which a path could match in two ways are common.
statics = st.text("/01.-aé %", max_size=3)
encodable = st.text(st.characters(codec="utf-8"))
confusing = st.text("/01.-aé %", max_size=6)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": (encodable | confusing).filter(lambda text: bool(text) and "/" not in text),
    "int": st.integers(0, 10**640 - 1) | st.integers(0, 20),
    "float": st.floats(0, 1e308, exclude_max=True) | st.sampled_from([0.0, 0.1, 1.0, 1.01, 5e-324, 1e22]),
    "uuid": st.uuids(),
    "path": encodable | confusing,
}


ROOT = PathTemplate("/")


def template_of(text: str) -> PathTemplate | None:
    try:
        return PathTemplate(text)
    except InvalidPath:
        return None


def with_slashes(text: str) -> str:
    return text.replace("}", "}/")


@st.composite
def templates(draw: st.DrawFn) -> PathTemplate:
    kinds = draw(st.lists(st.sampled_from([*CONVERTERS]), max_size=4))
    text = "/" + draw(statics) + "".join(f"{{p{i}:{kind}}}{draw(statics)}" for i, kind in enumerate(kinds))
    # If a path could match the template in two ways, separate the parameters by slashes, then turn `path` into `str`.
    return next(
        filter(None, map(template_of, (text, with_slashes(text), with_slashes(text).replace(":path", "")))), ROOT
    )


@st.composite
def templates_with_values(draw: st.DrawFn) -> tuple[PathTemplate, dict[str, Any]]:
    template = draw(templates())
    return template, {name: draw(VALUES[each.name]) for name, each in template.converters.items()}


def rendered(template: PathTemplate, values: Mapping[str, Any]) -> str | None:
    """Return the rendered path, or `None` for one that is never sent: with a dot segment, or with a lone surrogate."""
    decoded = re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]), template.address)
    if {".", ".."} & {*decoded.split("/")} or re.search("[\ud800-\udfff]", decoded):
        with pytest.raises(InvalidPath):
            template.render(**values)
        return None
    return template.render(**values)


@given(templates_with_values())
def test_a_rendered_path_matches_with_the_same_values(given_: tuple[PathTemplate, dict[str, Any]]) -> None:
    template, values = given_
    path = rendered(template, values)
    if path is None:
        return
    assert template.match(unquote(path)) == values
    assert path.isascii()
    assert urlsplit(path)[:3] == ("", "", path), "it is a path and nothing else"


@given(templates(), st.text(st.characters()) | confusing.map("/".__add__))
def test_no_path_makes_a_match_raise_and_the_values_of_a_match_render_to_a_match(
    template: PathTemplate, path: str
) -> None:
    values = template.match(path)
    if values is None:
        return
    assert tuple(values) == template.names
    again = rendered(template, values)
    assert again is None or template.match(unquote(again)) == values


@given(st.text(st.characters()) | st.text("/{}:aintp", max_size=12).map("/".__add__))
def test_any_text_is_a_template_or_is_refused_with_a_one_line_error(text: str) -> None:
    template = template_of(text)
    if template is None:
        with pytest.raises(InvalidPath) as caught:
            PathTemplate(text)
        assert str(caught.value).isprintable()
    else:
        assert template.address == re.sub(r":[a-z]+\}", "}", text)
