"""Turns typed Python values into plain JSON values and back, guided by annotations.

I/O-free. What an annotation says decides both ways, so that a type is never lost on the way: a value that its
parameter's annotation could not turn back is refused when the job is enqueued, not when it runs.

    as they are     None bool int float str, list and dict of them, Any, no annotation
    as text         datetime date time UUID Decimal Path, enums whose values are not plain (by name)
    as number       timedelta in seconds, enums whose values are numbers
    as array        list tuple set frozenset Sequence Iterable ...
    as object       dict Mapping TypedDict NamedTuple dataclasses, Pydantic models, msgspec structs

Optional, Union, Literal, Annotated and NewType are followed. Members of a union are tried in their order; a value
that would come back as another type is refused as ambiguous.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from importlib import import_module
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from uuid import UUID

from pgqueue.codec import JSON_TYPES, Misfit, dumps
from pgqueue.telling import brief


@dataclass(frozen=True, slots=True)
class Converter:
    """Both ways of one type.

    Values whose exact type is in `plain` are the same on both sides and need no call at all.
    """

    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    plain: frozenset[type] = frozenset()


def misfit(value: Any, expected: str) -> Misfit:
    """Say that a value is not of the expected type, without showing all of it."""
    return Misfit(f"must be {expected}, got {brief(value)} of type {type(value).__name__}")


def _same(value: Any) -> Any:
    return value


ANY = Converter("anything", _same, _same, JSON_TYPES)


def _exactly(kind: type, name: str) -> Converter:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise misfit(value, name)
        return value

    return Converter(name, check, check, frozenset({kind}))


def _int() -> Converter:
    def encode(value: Any) -> int:
        if not isinstance(value, int):
            raise misfit(value, "int")
        return value if isinstance(value, bool) else int.__int__(value)

    def decode(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():  # JavaScript and Lua know no difference
            return int(value)
        return encode(value)

    return Converter("int", encode, decode, frozenset({int, bool}))


def _float() -> Converter:
    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise misfit(value, "float")
        try:
            return float(value)
        except OverflowError:
            raise misfit(value, "a float, which ends at 1.8e308") from None

    return Converter("float", convert, convert, frozenset({float}))


def _str() -> Converter:
    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise misfit(value, "str")
        return str.__str__(value)

    return Converter("str", convert, convert, frozenset({str}))


def text(kind: type, write: Callable[[Any], str], read: Callable[[str], Any], example: str) -> Converter:
    """Build the converter of a type that travels as text."""
    name = kind.__name__

    def encode(value: Any) -> str:
        if not isinstance(value, kind) or (kind is date and isinstance(value, datetime)):
            raise misfit(value, f"a {name}")
        return write(value)

    def decode(value: Any) -> Any:
        if not isinstance(value, str):
            raise misfit(value, f"a {name} as text like {example!r}")
        try:
            return read(value)
        except (ValueError, InvalidOperation):
            raise misfit(value, f"a {name} as text like {example!r}") from None

    return Converter(name, encode, decode)


def _decimal() -> Converter:
    as_text = text(Decimal, str, Decimal, "12.50")

    def decode(value: Any) -> Decimal:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Decimal(repr(value))
        found: Decimal = as_text.decode(value)
        return found

    return Converter("Decimal", as_text.encode, decode)


def _timedelta() -> Converter:
    def encode(value: Any) -> int | float:
        if not isinstance(value, timedelta):
            raise misfit(value, "a timedelta")
        if value.microseconds == 0:
            return value.days * 86_400 + value.seconds
        seconds = value.total_seconds()
        if timedelta(seconds=seconds) != value:
            raise Misfit(f"is {value!r}, which a number of seconds cannot hold exactly", "round it to seconds")
        return seconds

    def decode(value: Any) -> timedelta:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise misfit(value, "a timedelta as a number of seconds")
        try:
            return timedelta(seconds=value)
        except OverflowError:
            raise misfit(value, "a timedelta of less than 2.7 million years") from None

    return Converter("timedelta", encode, decode)


SCALARS: dict[Any, Converter] = {
    Any: ANY,
    object: ANY,
    None: _exactly(type(None), "None"),
    type(None): _exactly(type(None), "None"),
    bool: _exactly(bool, "bool"),
    int: _int(),
    float: _float(),
    str: _str(),
    datetime: text(datetime, datetime.isoformat, datetime.fromisoformat, "2026-03-01T12:00:00+00:00"),
    date: text(date, date.isoformat, date.fromisoformat, "2026-03-01"),
    time: text(time, time.isoformat, time.fromisoformat, "12:30:00"),
    timedelta: _timedelta(),
    UUID: text(UUID, str, UUID, "6f1c1c5e-6a0c-4c7e-9d53-6f2a0e5c1b11"),
    Decimal: _decimal(),
    Path: text(Path, str, Path, "/srv/in/1.csv"),
    PurePath: text(PurePath, str, PurePath, "/srv/in/1.csv"),
    PurePosixPath: text(PurePosixPath, str, PurePosixPath, "/srv/in/1.csv"),
}


@functools.cache
def enum(kind: type[Enum]) -> Converter:
    """Build the converter of an enum: by value where all values are texts or numbers, else by name."""
    by_value = all(type(member.value) in {str, int, float} or isinstance(member.value, int | str) for member in kind)
    plain_names = ", ".join(repr(member.value if by_value else member.name) for member in kind)

    def encode(value: Any) -> Any:
        if not isinstance(value, kind):
            raise misfit(value, f"a {kind.__name__}")
        return value.value if by_value else value.name

    def decode(value: Any) -> Enum:
        try:
            return kind(value) if by_value else kind[value]
        except (ValueError, KeyError, TypeError):
            raise misfit(value, f"one of {plain_names} for {kind.__name__}") from None

    return Converter(kind.__name__, encode, decode)


def model(kind: type) -> Converter | None:
    """Build the converter of a Pydantic model or a msgspec struct; None if the type is neither."""
    if hasattr(kind, "model_validate_json") and hasattr(kind, "model_dump"):
        return _pydantic(kind)
    if hasattr(kind, "__struct_fields__"):
        return _msgspec(kind)
    return None


def _pydantic(kind: Any) -> Converter:
    def encode(value: Any) -> Any:
        if not isinstance(value, kind):
            raise misfit(value, f"a {kind.__name__}")
        return value.model_dump(mode="json", by_alias=True, round_trip=True)

    def decode(value: Any) -> Any:
        try:
            return kind.model_validate_json(dumps(value))  # from text: strict models take datetimes only there
        except ValueError as error:
            raise Misfit(f"does not fit {kind.__name__}: {error}") from None

    return Converter(kind.__name__, encode, decode)


def _msgspec(kind: Any) -> Converter:
    msgspec: Any = import_module("msgspec")  # whoever has a Struct has it

    def encode(value: Any) -> Any:
        if not isinstance(value, kind):
            raise misfit(value, f"a {kind.__name__}")
        return msgspec.to_builtins(value)

    def decode(value: Any) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise Misfit(f"does not fit {kind.__name__}: {error}") from None

    return Converter(kind.__name__, encode, decode)
