"""`read_params` and `write_params`: the parameters of a handshake as one value, read and written."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Generic, Literal, Never, NotRequired
from urllib.parse import urlencode
from uuid import UUID

import pydantic.dataclasses
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    RootModel,
    SecretStr,
    computed_field,
    model_validator,
)
from typing_extensions import TypeAliasType, TypedDict, TypeVar

from tests.support import scope, stable_id
from typedws._contract.params import FromCookie, FromHeader, read_params, write_params
from typedws._http.request import HandshakeRequest
from typedws._messages.adapter import adapter_for
from typedws.exceptions import InvalidHandshake, InvalidInput, InvalidParams, TypedWSError

T = TypeVar("T")
SECRET = "s3cr3t-t0k3n"


def params(form: Any, query: str | bytes = b"", path: Mapping[str, Any] | None = None) -> Any:
    """Read the parameters of a handshake. Without ``path`` the scope has no ``path_params``, as without a router."""
    data = query if isinstance(query, bytes) else query.encode()
    in_path = {} if path is None else {"path_params": path}
    return read_params(HandshakeRequest(scope(query_string=data, **in_path)), adapter_for(form))


class Colour(Enum):
    RED = "red"


class Room(BaseModel):
    room: str
    page: int = 1


class RoomKeys(TypedDict):
    room: str
    page: NotRequired[int]


@dataclass
class RoomPlain:
    room: str
    page: int = 1


@pydantic.dataclasses.dataclass
class RoomChecked:
    room: str
    page: int = 1


class Search(BaseModel):
    many: list[str] = []
    maybe: list[int] | None = None
    some: set[int] = set()
    fixed: tuple[int, str] = (0, "")
    frozen: frozenset[Colour] = frozenset()
    checked: Annotated[list[str], BeforeValidator(list)] = []
    renamed: list[str] = Field(default=[], alias="other")
    one: str = ""


class SearchKeys(TypedDict):
    many: NotRequired[list[str]]
    one: NotRequired[str]


@dataclass
class SearchPlain:
    many: list[str]
    one: str = ""


class Aliased(BaseModel):
    token: str = Field(alias="t")
    size: int = Field(default=1, validation_alias="s")


class Generated(BaseModel):
    model_config = ConfigDict(alias_generator=str.upper, populate_by_name=True)
    token: str


class Page(BaseModel, Generic[T]):
    of: T


class Checked(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def _in_order(self) -> "Checked":
        if self.low > self.high:
            raise ValueError(SECRET)
        return self


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 1


class Typed(BaseModel):
    id: UUID
    day: date
    flag: bool = False
    ratio: float = 0
    colour: Colour = Colour.RED
    kind: Literal["a", "b"] = "a"


# --- reading ---


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Room, Room(room="lobby", page=2)),
        (RoomKeys, {"room": "lobby", "page": 2}),
        (RoomPlain, RoomPlain("lobby", 2)),
        (RoomChecked, RoomChecked("lobby", 2)),
        (Annotated[Room, Field(description="where")], Room(room="lobby", page=2)),
        (Room | None, Room(room="lobby", page=2)),
        (dict[str, str], {"room": "lobby", "page": "2"}),
        (Any, {"room": "lobby", "page": "2"}),
    ],
    ids=stable_id,
)
def test_path_and_query_are_read_as_one_value(form: Any, expected: Any) -> None:
    for query, path in (
        ("page=2", {"room": "lobby"}),
        ("room=lobby&page=2", None),
        ("room=lobby&page=2", {}),
        ("", {"room": "lobby", "page": "2"}),
    ):
        result = params(form, query, path)
        assert result == expected
        assert type(result) is type(expected)


def test_a_path_parameter_wins_over_the_query() -> None:
    assert params(Room, "room=other&page=3", {"room": "lobby"}) == Room(room="lobby", page=3)
    assert params(Room, "page=2&page=3&room=x", {"room": "lobby", "page": 7}) == Room(room="lobby", page=7)
    assert params(Search, "many=a&many=b", {"many": ["c"]}) == Search(many=["c"])


def test_path_parameters_that_a_router_converted_are_unchanged() -> None:
    assert params(Typed, "flag=yes", {"id": UUID(int=5), "day": date(2024, 1, 2)}) == Typed(
        id=UUID(int=5), day=date(2024, 1, 2), flag=True
    )


def test_query_parameters_are_parsed_from_text() -> None:
    query = "id=00000000-0000-0000-0000-000000000005&day=2024-01-02&flag=true&ratio=1.5&colour=red&kind=b"
    assert params(Typed, query) == Typed(id=UUID(int=5), day=date(2024, 1, 2), flag=True, ratio=1.5, kind="b")


def test_missing_parameters_have_their_defaults() -> None:
    assert params(Room, "", {"room": "lobby"}) == Room(room="lobby")
    assert params(Search) == Search()
    assert params(SearchKeys) == {}


@pytest.mark.parametrize(
    ("form", "query", "expected"),
    [
        (Search, "many=a&many=b", Search(many=["a", "b"])),
        (Search, "many=a", Search(many=["a"])),
        (Search, "many=", Search(many=[""])),
        (Search, "maybe=1&maybe=2", Search(maybe=[1, 2])),
        (Search, "some=1&some=2&some=1", Search(some={1, 2})),
        (Search, "fixed=1&fixed=b", Search(fixed=(1, "b"))),
        (Search, "frozen=red", Search(frozen=frozenset({Colour.RED}))),
        (Search, "checked=a&checked=b", Search(checked=["a", "b"])),
        (Search, "other=a&other=b", Search(other=["a", "b"])),
        (Search, "one=a&one=b", Search(one="b")),
        (Search, "one=a&many=b&one=c&many=d", Search(one="c", many=["b", "d"])),
        (SearchKeys, "many=a&many=b&one=c&one=d", {"many": ["a", "b"], "one": "d"}),
        (Page[list[int]], "of=1&of=2", Page[list[int]](of=[1, 2])),
        (Page[int], "of=1&of=2", Page[int](of=2)),
        pytest.param(SearchPlain, "many=a&many=b", SearchPlain(["a", "b"])),
    ],
    ids=stable_id,
)
def test_a_repeated_parameter_is_a_list_or_its_last_value(form: Any, query: str, expected: Any) -> None:
    assert params(form, query) == expected


class Part(BaseModel):
    many: str = ""


class Twice(BaseModel):
    one: Part | None = None
    other: Part | None = None
    many: list[str] = []


class Colours(BaseModel):
    one: Colour = Colour.RED
    other: Colour = Colour.RED
    many: list[Colour] = []


class Tree(BaseModel):
    many: list[str] = []
    tree: "Tree | None" = None


class Choices(BaseModel):
    many: list[str] = Field(default=[], validation_alias=AliasChoices("first", "second"))


class FirstOf(BaseModel):
    one: str = Field(default="", validation_alias=AliasPath("one", 0))
    many: list[str] = []


class ByEither(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    many: list[str] = Field(default=[], alias="m")


@pytest.mark.parametrize(
    ("form", "query", "expected"),
    [
        (Tree, "many=a&many=b", ["a", "b"]),
        pytest.param(Twice, "many=a&many=b", ["a", "b"]),
        pytest.param(
            Colours,
            "many=red&many=red",
            [Colour.RED, Colour.RED],
        ),
        pytest.param(Choices, "first=a&first=b", ["a", "b"]),
        pytest.param(Choices, "second=a&second=b", ["a", "b"]),
        (FirstOf, "many=a&many=b", ["a", "b"]),
        (ByEither, "m=a&m=b", ["a", "b"]),
        pytest.param(ByEither, "many=a&many=b", ["a", "b"]),
    ],
    ids=stable_id,
)
def test_list_fields_are_found_in_every_kind_of_model(form: Any, query: str, expected: list[Any]) -> None:
    assert params(form, query).many == expected


def test_a_client_names_parameters_by_their_aliases() -> None:
    assert params(Aliased, "t=abc&s=2") == Aliased.model_validate({"t": "abc", "s": 2})
    assert params(Aliased, "s=2", {"t": "abc"}) == Aliased.model_validate({"t": "abc", "s": 2})
    assert params(Generated, "TOKEN=abc").token == "abc"
    assert params(Generated, "token=abc").token == "abc"
    with pytest.raises(InvalidParams) as caught:
        params(Aliased, "token=abc")
    assert caught.value.locations() == [("t", "missing")]


def test_unknown_parameters_are_ignored_unless_forbidden() -> None:
    assert params(Room, "room=a&utm_source=x&x=1&x=2") == Room(room="a")
    with pytest.raises(InvalidParams, match=r"\(extra_forbidden at \*\)"):
        params(Closed, f"{SECRET}=1")


@pytest.mark.parametrize(
    ("query", "room"),
    [
        ("room=caf%C3%A9+%26", "caf\u00e9 &"),
        ("room=%ff", "\ufffd"),
        (b"room=\xc3\xa9", "\u00e9"),
        ("room", ""),
        ("room=a=b", "a=b"),
        ("room=%00", "\0"),
    ],
)
def test_the_query_is_decoded_like_form_data(query: str | bytes, room: str) -> None:
    assert params(Room, query) == Room(room=room)


texts = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["many", "one", "x"]), texts)))
def test_no_query_value_is_lost(pairs: list[tuple[str, str]]) -> None:
    result = params(Search, urlencode(pairs))
    assert result.many == [value for name, value in pairs if name == "many"]
    assert result.one == next((value for name, value in reversed(pairs) if name == "one"), "")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_every_query_is_read_or_raises_invalid_params(query: bytes) -> None:
    for form in (Search, Typed, Closed, dict[str, str]):
        try:
            params(form, query)
        except InvalidParams as error:
            assert error.errors()  # noqa: PT017


# --- invalid parameters ---


@pytest.mark.parametrize(
    ("form", "query", "path", "locations"),
    [
        (Room, "", None, [("room", "missing")]),
        (Room, f"page={SECRET}", {"room": "a"}, [("page", "int_parsing")]),
        (Room, "", {"room": "a", "page": SECRET}, [("page", "int_parsing")]),
        (RoomKeys, f"page={SECRET}", None, [("room", "missing"), ("page", "int_parsing")]),
        (RoomPlain, f"room=a&page={SECRET}", None, [("page", "int_parsing")]),
        (Search, f"maybe=1&maybe={SECRET}", None, [("maybe.1", "int_parsing")]),
        (Search, "fixed=1", None, [("fixed.1", "missing")]),
        (Aliased, f"t=a&s={SECRET}", None, [("s", "int_parsing")]),
        (Closed, f"{SECRET}={SECRET}", None, [("*", "extra_forbidden")]),
        (Typed, f"id={SECRET}&day=2024-01-02", None, [("id", "uuid_parsing")]),
        (Typed, f"id=00000000-0000-0000-0000-000000000005&day={SECRET}", None, [("day", "date_from_datetime_parsing")]),
        (dict[str, int], f"{SECRET}={SECRET}", None, [("*", "int_parsing")]),
        (Checked, "low=2&high=1", None, [("", "value_error")]),
        (Never, f"a={SECRET}", None, [("", "never")]),
    ],
    ids=stable_id,
)
def test_the_error_for_invalid_parameters_contains_locations_and_no_values(
    form: Any, query: str, path: Mapping[str, Any] | None, locations: list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidParams) as caught:
        params(form, query, path)
    error = caught.value
    assert error.locations() == locations
    assert error.problem == "invalid"
    assert error.status_code == 422
    assert error.expected == adapter_for(form).name
    assert str(error).startswith(f"expected {error.expected}, found parameters that fail validation (")
    for text in (str(error), repr(error), str(error.locations())):
        assert SECRET not in text
    assert error.__suppress_context__


def test_errors_contain_the_input_only_if_asked_for() -> None:
    with pytest.raises(InvalidParams) as caught:
        params(Room, f"room=a&page={SECRET}")
    assert [set(detail) for detail in caught.value.errors()] == [{"type", "loc", "msg"}]
    assert SECRET not in str(caught.value.errors())
    assert [detail.get("input") for detail in caught.value.errors(include_input=True)] == [SECRET]


def test_invalid_params_is_an_invalid_input_without_a_close_code() -> None:
    with pytest.raises(InvalidParams) as caught:
        params(Room)
    assert isinstance(caught.value, InvalidInput)
    assert isinstance(caught.value, TypedWSError)
    assert not hasattr(caught.value, "close_code")


def test_the_error_text_of_a_validator_is_in_errors_only() -> None:
    with pytest.raises(InvalidParams) as caught:
        params(Checked, "low=2&high=1")
    assert SECRET in caught.value.errors()[0]["msg"]
    assert SECRET not in str(caught.value)
    assert params(Checked, "low=1&high=2") == Checked(low=1, high=2)


# --- headers and cookies ---


class FromAll(BaseModel):
    room: str = ""
    x_tenant: Annotated[str, FromHeader()] = "default"
    agent: Annotated[str | None, FromHeader("User-Agent")] = None
    age: Annotated[int, FromHeader("Age")] = 0
    tags: Annotated[list[str], FromHeader("X-Tag")] = []
    sizes: Annotated[set[int] | None, FromHeader("X-Size")] = None
    several: Annotated[Sequence[int], FromHeader("X-Several")] = ()
    colour: Annotated[Colour, FromCookie()] = Colour.RED
    session: Annotated[UUID | None, FromCookie("sid")] = None
    crumbs: Annotated[list[str], FromCookie()] = []


Header = TypeAliasType("Header", Annotated[str, FromHeader()])


class Inherited(FromAll):
    host: Annotated[str, FromHeader()]


class Overridden(FromAll):
    x_tenant: str = "default"


class Renamed(BaseModel):
    token: Annotated[str, FromHeader("X-Token")] = Field(alias="t")
    size: Annotated[int, FromHeader()] = Field(default=0, validation_alias=AliasChoices("s", "sz"))
    flag: str = Field(default="", alias="f")


class MarkPositions(BaseModel):
    token: str = Field(default="", json_schema_extra={"a": 1})
    outer: Annotated[Annotated[str, FromHeader("x-outer")], Field(min_length=1)] = "-"
    inner: Annotated[str, FromHeader("x-inner")] | None = None
    listed: list[Annotated[str, FromHeader("x-listed")]] = []
    either: Annotated[str, FromHeader("x-either")] | int = 0
    checked: Annotated[str, BeforeValidator(str.upper), FromHeader("x-checked")] = ""
    one: Header = ""
    other: Header = ""


class HeaderKeys(TypedDict):
    x_tenant: Annotated[str, FromHeader()]
    age: NotRequired[Annotated[int, FromHeader()]]


@dataclass
class HeaderPlain:
    x_tenant: Annotated[str, FromHeader()]
    sid: Annotated[str, FromCookie()] = ""


@pydantic.dataclasses.dataclass
class HeaderChecked:
    x_tenant: Annotated[str, FromHeader()]
    sid: Annotated[str, FromCookie()] = ""


class Admin(BaseModel):
    kind: Literal["admin"]
    user: Annotated[str, FromHeader("x-user")]


class Guest(BaseModel):
    kind: Literal["guest"]
    user: Annotated[str, FromHeader("x-user")] = "guest"


class GuestRoot(RootModel[Guest]):
    pass


def read_with_headers(
    form: Any, headers: Sequence[tuple[str, str]] = (), query: str = "", path: Mapping[str, Any] | None = None
) -> Any:
    """Read the parameters of a handshake with these headers."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    request = HandshakeRequest(scope(headers=raw, query_string=query.encode(), path_params=path or {}))
    return read_params(request, adapter_for(form))


SID = "00000000-0000-0000-0000-000000000005"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], {}),
        ([("X-Tenant", "acme")], {"x_tenant": "acme"}),
        ([("X_Tenant", "acme")], {}),
        ([("User-Agent", "")], {"agent": ""}),
        ([("Age", "3")], {"age": 3}),
        ([("X-Tenant", "first"), ("x-tenant", "second")], {"x_tenant": "first"}),
        ([("X-Tag", "a")], {"tags": ["a"]}),
        ([("X-Tag", "a"), ("Age", "1"), ("X-Tag", "b, c")], {"tags": ["a", "b, c"], "age": 1}),
        ([("X-Size", "1"), ("X-Size", "1")], {"sizes": {1}}),
        ([("X-Several", "1"), ("X-Several", "2")], {"several": [1, 2]}),
        ([("X-Tenant", "caf\u00e9")], {"x_tenant": "caf\u00e9"}),
        ([("Cookie", f"sid={SID}; crumbs=a")], {"session": UUID(SID), "crumbs": ["a"]}),
        ([("Cookie", "colour=red"), ("Cookie", "crumbs=b; session=x")], {"crumbs": ["b"]}),
    ],
    ids=stable_id,
)
def test_a_marked_field_is_read_from_a_header_or_a_cookie(
    headers: list[tuple[str, str]], expected: dict[str, Any]
) -> None:
    assert read_with_headers(FromAll, headers) == FromAll(**expected)
    assert read_with_headers(FromAll, headers, "room=a").room == "a"


@pytest.mark.parametrize("in_path", [True, False])
def test_path_and_query_never_set_a_header_or_cookie_field(in_path: bool) -> None:
    forged = {"x_tenant": SECRET, "x-tenant": SECRET, "tags": SECRET, "X-Tag": SECRET, "session": SID, "sid": SID}
    query, path = ("", forged) if in_path else (urlencode(forged), None)
    assert read_with_headers(FromAll, [], query, path) == FromAll()
    assert read_with_headers(FromAll, [("x-tenant", "acme")], query, path) == FromAll(x_tenant="acme")
    for form in (HeaderKeys, HeaderPlain, HeaderChecked):
        with pytest.raises(InvalidParams) as caught:
            read_with_headers(form, [], query, path)
        assert caught.value.locations() == [("x_tenant", "missing")]


@pytest.mark.parametrize("name", ["token", "t", "size", "s", "sz"])
def test_the_query_cannot_set_a_header_field_by_any_of_its_names(name: str) -> None:
    assert read_with_headers(Renamed, [("x-token", "real"), ("size", "3")], f"{name}=7&f=a") == (
        Renamed.model_validate({"t": "real", "s": 3, "f": "a"})
    )
    with pytest.raises(InvalidParams) as caught:
        read_with_headers(Renamed, [], f"{name}=7")
    assert caught.value.locations() == [("t", "missing")]


@pytest.mark.parametrize(
    "form", [Admin | Guest, Annotated[Admin | Guest, Field(discriminator="kind")], Guest | None, GuestRoot]
)
def test_the_query_cannot_set_a_header_field_of_any_union_member(form: Any) -> None:
    for headers, user in (([("x-user", "ann")], "ann"), ([], "guest")):
        result = read_with_headers(form, headers, f"kind=guest&user={SECRET}")
        assert result in (Guest(kind="guest", user=user), GuestRoot(Guest(kind="guest", user=user)))


def test_a_mark_is_found_at_every_position_in_the_annotation() -> None:
    query = urlencode(dict.fromkeys(MarkPositions.model_fields, SECRET))
    assert read_with_headers(MarkPositions, [], query) == MarkPositions(token=SECRET)
    names = ["x-outer", "x-inner", "x-listed", "x-either", "x-checked", "one", "other"]
    result = read_with_headers(MarkPositions, [(name, f"v-{name}") for name in names], query)
    assert result == MarkPositions(
        token=SECRET,
        outer="v-x-outer",
        inner="v-x-inner",
        listed=["v-x-listed"],
        either="v-x-either",
        checked="V-X-CHECKED",
        one="v-one",
        other="v-other",
    )


@pytest.mark.parametrize("form", [HeaderPlain, HeaderChecked])
def test_dataclasses_may_have_header_and_cookie_fields(form: Any) -> None:
    assert read_with_headers(form, [("x-tenant", "acme"), ("cookie", "sid=5")], "sid=6") == form("acme", "5")


def test_typed_dictionaries_may_have_header_fields() -> None:
    assert read_with_headers(HeaderKeys, [("x-tenant", "acme"), ("age", "5")], "age=6") == {
        "x_tenant": "acme",
        "age": 5,
    }
    assert read_with_headers(HeaderKeys, [("x-tenant", "acme")], "age=6") == {"x_tenant": "acme"}


def test_marks_are_inherited_unless_overridden() -> None:
    headers = [("host", "example.org"), ("x-tenant", "acme")]
    assert read_with_headers(Inherited, headers, "x_tenant=a&host=b") == Inherited(host="example.org", x_tenant="acme")
    assert read_with_headers(Overridden, headers, "x_tenant=a") == Overridden(x_tenant="a")


def test_marks_are_found_in_postponed_annotations() -> None:
    names: dict[str, Any] = {"__name__": __name__}
    exec(
        "from __future__ import annotations\n"
        "from typing import Annotated\n"
        "from pydantic import BaseModel\n"
        "from typedws import FromHeader\n"
        "class Postponed(BaseModel):\n"
        "    tenant: Annotated[str, FromHeader('x-tenant')] = ''\n",
        names,
    )
    form = names["Postponed"]
    form.model_rebuild(_types_namespace=names)
    assert read_with_headers(form, [("x-tenant", "acme")], "tenant=a").tenant == "acme"


@pytest.mark.parametrize(
    ("headers", "locations"),
    [
        ([("age", SECRET)], [("age", "int_parsing")]),
        ([("x-size", "1"), ("x-size", SECRET)], [("sizes.1", "int_parsing")]),
        ([("cookie", f"sid={SECRET}; colour={SECRET}")], [("colour", "enum"), ("session", "uuid_parsing")]),
    ],
    ids=stable_id,
)
def test_the_location_of_an_invalid_header_is_the_name_of_its_field(
    headers: list[tuple[str, str]], locations: list[tuple[str, str]]
) -> None:
    with pytest.raises(InvalidParams) as caught:
        read_with_headers(FromAll, headers)
    assert caught.value.locations() == locations
    assert SECRET not in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["x-tenant", "age", "x-tag", "cookie"]), st.binary(max_size=12))))
def test_every_header_is_read_or_raises_invalid_params(headers: list[tuple[str, bytes]]) -> None:
    raw = [(name.encode(), value) for name, value in headers]
    try:
        result = read_params(HandshakeRequest(scope(headers=raw)), adapter_for(FromAll))
    except InvalidParams as error:
        assert error.locations()  # noqa: PT017
    else:
        assert result.tags == [value.decode("latin-1") for name, value in headers if name == "x-tag"]


class SeveralValues(BaseModel):
    numbers: Json[list[int]] = []
    names: Sequence[str] = ()
    last: deque[str] = deque()


def test_a_json_field_takes_one_value_and_a_sequence_several() -> None:
    result = params(SeveralValues, "numbers=[1,2]&names=a&names=b&last=c")
    assert (result.numbers, list(result.names), result.last) == ([1, 2], ["a", "b"], deque(["c"]))


# --- writing ---


class Hidden(BaseModel):
    token: SecretStr


class Shown(BaseModel):
    token: Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, when_used="json")]


class Unreadable(BaseModel):
    page: Annotated[int, PlainSerializer(lambda _: SECRET, when_used="json")]


class Nested(BaseModel):
    room: Room


class Everything(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    text: str = ""
    whole: int = 0
    ratio: float = 0.0
    flag: bool = False
    day: date | None = None
    id: UUID | None = None
    colour: Colour = Colour.RED
    several: list[int] = []
    aliased: str = Field(default="", alias="as")
    chosen: str = Field(default="", validation_alias=AliasChoices("one", "other"))
    renamed: str = Field(default="", serialization_alias="out")
    tenant: Annotated[str | None, FromHeader("X-Tenant")] = None
    tags: Annotated[list[int], FromHeader("x-tag")] = []
    sid: Annotated[UUID | None, FromCookie("session")] = None

    @computed_field
    def shown(self) -> str:
        return self.text.upper()


texts = st.text(st.characters(codec="utf-8"))


@given(
    st.builds(
        Everything,
        text=texts,
        whole=st.integers(-(2**63), 2**63),
        ratio=st.floats(allow_nan=False),
        flag=st.booleans(),
        day=st.none() | st.dates(),
        id=st.none() | st.uuids(),
        several=st.lists(st.integers(-5, 5)),
        aliased=texts,
        chosen=texts,
        renamed=texts,
        tenant=st.none() | st.text("abcé ,;=", min_size=1).map(str.strip),
        tags=st.lists(st.integers(-5, 5)),
        sid=st.none() | st.uuids(),
    )
)
def test_written_parameters_are_read_back_equal(params: Everything) -> None:
    written = write_params(params, adapter_for(Everything), ["text", "as"])
    assert set(written.path) == {"text", "as"}
    request = HandshakeRequest(
        scope(
            headers=[(name.lower().encode(), value.encode("latin-1")) for name, value in written.headers],
            query_string=urlencode(written.query).encode(),
            path_params=written.path,
        )
    )
    assert read_params(request, adapter_for(Everything)) == params


@pytest.mark.parametrize(
    ("form", "params", "path", "query"),
    [
        (Room, Room(room="lobby", page=2), {"room": "lobby"}, [("page", "2")]),
        (RoomKeys, RoomKeys(room="lobby"), {"room": "lobby"}, []),
        (Shown, Shown(token=SecretStr(SECRET)), {}, [("token", SECRET)]),
    ],
)
def test_parameters_of_every_kind_of_model_are_written(
    form: Any, params: Any, path: dict[str, str], query: list[tuple[str, str]]
) -> None:
    written = write_params(params, adapter_for(form), ["room"])
    assert (written.path, written.query, written.headers) == (path, query, [])


@pytest.mark.parametrize(
    ("params", "form", "message"),
    [
        (Nested(room=Room(room="a")), Nested, "a structure"),
        (Unreadable(page=1), Unreadable, "a value that the server would refuse"),
        (Hidden(token=SecretStr(SECRET)), Hidden, "one that changes"),
        (Room(room="a"), Nested, "a Room that does not fit"),
        ("lobby", Room, "a str that does not fit"),
        ("lobby", str, "a str"),
        (Everything(tenant="a\nb"), Everything, "without line breaks and null characters"),
        (Everything(tenant="€"), Everything, "another character"),
        (Room.model_construct(room="a", page="x"), Room, "a Room that does not fit"),
        (Everything.model_construct(day=None, several=["x"]), Everything, "a Everything that does not fit"),
    ],
)
def test_parameters_that_cannot_be_written_raise(params: Any, form: Any, message: str) -> None:
    with pytest.raises(InvalidHandshake, match=message) as caught:
        write_params(params, adapter_for(form))
    assert SECRET not in str(caught.value)
