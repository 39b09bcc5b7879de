"""What goes out as JSON comes back the same, or is refused with its place and a remedy."""

import enum
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, Union
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue import codec
from pgqueue.annotation import converter
from pgqueue.codec import MAX_DEPTH, Misfit, dumps, loads
from pgqueue.errors import InvalidArgument

orjson = pytest.importorskip("orjson")

AT = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


def exact(value: Any) -> Any:
    """Tell 1 from 1.0 and True, and 0.0 from -0.0."""
    return json.dumps(value, sort_keys=True), str(type(value))


@given(PLAIN)
def test_plain_values_come_back_exactly(value: Any) -> None:
    assert exact(loads(dumps(value))) == exact(value)


@given(PLAIN)
def test_json_and_orjson_read_the_same(value: Any) -> None:
    text = dumps(value).encode()

    assert exact(codec._read_slowly(text)) == exact(loads(text))


@given(PLAIN.filter(lambda value: "e" not in repr(value)))
def test_the_writer_is_the_standard_librarys(value: Any) -> None:
    assert dumps(value) == json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("number", [0.1, -0.0, 1e308, -1e308, 5e-324, 1e16, 9007199254740993.0, 1e15, 1e22, math.pi])
def test_floats_come_back_as_the_same_float(number: float) -> None:
    text = dumps(number)

    assert math.copysign(1, loads(text)) == math.copysign(1, number)
    assert loads(text) == number
    assert type(loads(text)) is float
    assert "e+" not in text


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64, -(2**64), 10**18, 10**19, 10**4299])
def test_integers_of_any_size_come_back(number: int) -> None:
    assert loads(dumps(number)) == number
    assert type(loads(dumps(number).encode())) is int


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (math.nan, "is nan, which JSON does not have; send None or a finite number"),
        ({"a": [1, math.inf]}, "a[1] is inf"),
        ({"a": {"b": "x\x00"}}, "a.b contains U+0000, which PostgreSQL cannot store"),
        ("\ud800", "contains a lone surrogate"),
        ({"a\ud800": 1}, "contains a lone surrogate"),
        ({"a": {1: 2}}, "a has the key 1 of type int; keys must be of type str"),
        ([{1, 2}], "[0] is of type set, which JSON does not have; send a list, or annotate the parameter as set[...]"),
        (b"x", "is of type bytes, which JSON does not have; send it as base64 text"),
        (
            [AT],
            "[0] is of type datetime, which JSON does not have; annotate the parameter as datetime",
        ),
        (nested(MAX_DEPTH + 1), "is nested deeper than 100 levels"),
        (circle(), "or contains itself"),
        ([10**4300], "is an integer of more than 4300 digits; send it as hexadecimal text"),
    ],
)
def test_what_would_be_lost_is_refused_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(Misfit) as caught:
        dumps(value)

    assert said in str(caught.value)


def test_the_deepest_value_allowed_passes() -> None:
    assert loads(dumps(nested(MAX_DEPTH))) == nested(MAX_DEPTH)


def test_neither_reader_follows_brackets_without_end() -> None:
    deep, deeper = ("[" * 500 + '{"a":1}' + "]" * 500).encode(), b"[" * 1025 + b"]" * 1025

    assert loads(deep) == codec._read_slowly(deep)
    with pytest.raises(InvalidArgument):
        loads(deeper)
    with pytest.raises(RecursionError):
        codec._read_slowly(deeper)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[Infinity]", '"\\ud800"', "1" * 5000, "[" * 5000 + "]" * 5000, b"\xff", "\ud800", "01"]
)
def test_what_is_not_json_is_refused_by_both_readers(text: str | bytes) -> None:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text

    with pytest.raises(InvalidArgument, match="not readable as JSON"):
        loads(text)
    with pytest.raises((ValueError, RecursionError)):
        codec._read_slowly(raw)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Shape(enum.Enum):
    ROUND = (0, 1)


@dataclass
class Address:
    street: str
    since: date | None = None


@dataclass(frozen=True)
class Person:
    name: str
    addresses: list[Address]
    friends: list["Person"] = field(default_factory=list)


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Movie(TypedDict):
    title: str
    at: NotRequired[datetime]


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    id: int
    at: datetime = pydantic.Field(alias="placedAt")


class Email(str):
    __slots__ = ()


UserId = NewType("UserId", int)
ID = UUID("6f1c1c5e-6a0c-4c7e-9d53-6f2a0e5c1b11")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (datetime, AT),
        (datetime, AT.replace(tzinfo=None)),
        (date, date(2026, 1, 1)),
        (time, time(1, 2, 3)),
        (timedelta, timedelta(days=-1, seconds=5)),
        (timedelta, timedelta(microseconds=123456)),
        (timedelta, timedelta(days=10**6)),
        (UUID, ID),
        (Decimal, Decimal("12.50")),
        (Decimal, Decimal("1E+400")),
        (Path, Path("/srv/x")),
        (Colour, Colour.RED),
        (Level, Level.LOW),
        (Shape, Shape.ROUND),
        (Email, Email("a@b")),
        (UserId, 7),
        (float, 1e308),
        (Annotated[datetime, "when"], AT),
        (Optional[datetime], None),  # noqa: UP045
        (datetime | None, AT),
        (Union[int, str], "x"),  # noqa: UP007
        (int | datetime, AT),
        (Literal["a", 1], 1),
        (Literal[Colour.RED], Colour.RED),
        (list[datetime], [AT]),
        (set[int], {1, 2}),
        (frozenset[UUID], frozenset({ID})),
        (tuple[int, ...], (1, 2)),
        (tuple[int, datetime], (1, AT)),
        (Sequence[Colour], [Colour.BLUE]),
        (dict[str, date], {"a": date(2026, 1, 1)}),
        (dict[int, str], {1: "a"}),
        (dict[UUID, Level], {ID: Level.LOW}),
        (Mapping[Colour, int], {Colour.RED: 1}),
        (dict[str, Any], {"a": [1]}),
        (Person, Person("Ann", [Address("x", date(2026, 1, 1))], [Person("Bob", [])])),
        (Point, Point(1, 2.0)),
        (Movie, {"title": "x", "at": AT}),
        (Movie, {"title": "x"}),
        (Order, Order(id=1, placedAt=AT)),
        (list[Order | None], [None, Order(id=1, placedAt=AT)]),
        (object, {"a": 1}),
    ],
)
def test_typed_values_come_back_with_their_type(annotation: Any, value: Any) -> None:
    both = converter(annotation)

    back = both.decode(loads(dumps(both.encode(value))))

    assert back == value
    assert type(back) is type(value)


def test_other_languages_spellings_are_understood() -> None:
    assert converter(int).decode(7.0) == 7
    assert converter(float).decode(7) == 7.0
    assert converter(Decimal).decode(1.25) == Decimal("1.25")
    assert converter(datetime).decode("2026-03-01T12:00:00Z") == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (int, "7", "must be int, got '7' of type str"),
        (int, 7.5, "must be int, got 7.5 of type float"),
        (str, 7, "must be str, got 7 of type int"),
        (bool, 1, "must be bool, got 1 of type int"),
        (float, 10**400, "must be a float, which ends at 1.8e308"),
        (datetime, "2026-01-01", "must be a datetime, got '2026-01-01' of type str"),
        (date, AT, "must be a date, got datetime.datetime"),
        (list[int], [1, "x"], "[1] must be int, got 'x' of type str"),
        (list[int], "abc", "must be a list[int], got 'abc'"),
        (dict[str, list[int]], {"a": ["x"]}, "a[0] must be int"),
        (Colour, "red", "must be a Colour, got 'red' of type str"),
        (Literal["a", "b"], "c", "must be one of 'a', 'b', got 'c' of type str"),
        (int | None, "x", "must be int | None, got 'x' of type str"),
        (Address, {"street": "x"}, "must be a Address, got"),
        (Person, Person("Ann", [Address(7)]), "addresses[0].street must be str, got 7"),  # type: ignore[arg-type]
        (Movie, {"at": AT}, "lacks the field 'title' of Movie"),
        (Movie, {"title": "x", "year": 1}, "has no field 'year' in Movie; it has title, at"),
        (Path | None, object(), "must be Path | None, got <object object"),
        (tuple[int, int], (1,), "must be a tuple[int, int], got (1,)"),
        (datetime | str, "2026-01-01", "is ambiguous: a str would come back as datetime"),
        (type(Path), 1, "declared as type, which pgqueue cannot turn into JSON"),
        (timedelta, timedelta(days=10**8, microseconds=1), "cannot hold exactly; round it to seconds"),
    ],
)
def test_values_that_do_not_fit_are_refused_when_sent(annotation: Any, value: Any, said: str) -> None:
    with pytest.raises(Misfit) as caught:
        converter(annotation).encode(value)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (datetime, "yesterday", "must be a datetime as text like '2026-03-01T12:00:00+00:00', got 'yesterday'"),
        (UUID, 7, "must be a UUID as text"),
        (Decimal, "x", "must be a Decimal as text"),
        (Colour, "green", "must be one of 'red', 'blue' for Colour, got 'green'"),
        (Address, {"street": "x", "zip": 1}, "has no field 'zip' in Address; it has street, since"),
        (Address, {}, "lacks the field 'street' of Address"),
        (Order, {"id": "1", "placedAt": "2026-01-01T00:00:00Z"}, "does not fit Order"),
        (timedelta, 1e300, "must be a timedelta of less than"),
        (set[int], {"a": 1}, "must be a set[int] as an array"),
        (tuple[int, int], [1], "must be a tuple[int, int]"),
    ],
)
def test_values_that_do_not_fit_are_refused_when_read(annotation: Any, value: Any, said: str) -> None:
    with pytest.raises(Misfit) as caught:
        converter(annotation).decode(value)

    assert said in str(caught.value)


def test_a_long_value_is_not_shown_whole() -> None:
    with pytest.raises(Misfit) as caught:
        converter(int).encode("x" * 10_000)

    assert len(str(caught.value)) < 200
