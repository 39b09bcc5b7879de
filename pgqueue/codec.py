"""JSON text in and out of the database: what is written can be read back as the same value, or is refused.

I/O-free. Writing refuses what JSON or jsonb would change or lose: NaN and infinities, U+0000, lone surrogates, keys
that are not texts, sets, bytes and objects. Every refusal is a `Misfit`, which says where in the value it happened and
what to do; `task` turns it into an ArgumentError that names the task.

There is one writer, in Python, whatever is installed: checking a value costs as much as writing it, so that a second,
faster library would have nothing left to save. Reading uses orjson when it is there, except for texts with numbers of
19 digits and more, which orjson would round; tests hold that both readers give the same values.

Numbers survive exactly: integers up to 4,300 digits, floats as their shortest repr. Floats from 1e16 on are written
positionally with ".0", because jsonb would print 1e+16 as an integer. One thing does not survive jsonb: the sign of
-0.0, as PostgreSQL's numeric has no negative zero.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

from pgqueue.errors import InvalidArgument
from pgqueue.telling import brief

MAX_DEPTH: Final = 100
_BIG = 1e16  # from here on repr() has an exponent

# What JSON texts consist of when read.
JSON_TYPES: Final = frozenset({type(None), bool, int, float, str, list, dict})


class Misfit(InvalidArgument):
    """A value that cannot be what it should be: where it stands, what it is, what to do about it."""

    def __init__(self, what: str, remedy: str = "", path: str = "") -> None:
        super().__init__(what, remedy, path)
        self.what = what
        self.remedy = remedy
        self.path = path

    def under(self, step: str) -> "Misfit":
        """Put a step in front of the path, on the way out of a container."""
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        said = f"{self.what}; {self.remedy}" if self.remedy else self.what
        return f"{self.path.lstrip('.')} {said}" if self.path else said


def dumps(value: Any) -> str:
    """Write a plain value as JSON text. Raises Misfit."""
    return write(value, 0)


def write(value: Any, depth: int) -> str:
    """Write a plain value that stands `depth` containers deep."""
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    if depth >= MAX_DEPTH:
        raise Misfit(f"is nested deeper than {MAX_DEPTH} levels, or contains itself", "send something flatter")
    if isinstance(value, dict):
        return _write_object(value, depth + 1)
    if isinstance(value, list | tuple):
        return _write_array(value, depth + 1)
    raise _refusal(value)


def _write_array(value: list[Any] | tuple[Any, ...], depth: int) -> str:
    parts = []
    try:
        for item in value:
            parts.append(write(item, depth))  # noqa: PERF401 - the place of a misfit is len(parts)
    except Misfit as misfit:
        raise misfit.under(f"[{len(parts)}]") from None
    return f"[{','.join(parts)}]"


def _write_object(value: dict[Any, Any], depth: int) -> str:
    parts = []
    for key, item in value.items():
        if type(key) is not str:
            raise Misfit(f"has the key {brief(key)} of type {type(key).__name__}", "keys must be of type str")
        try:
            parts.append(f"{_write_str(key)}:{write(item, depth)}")
        except Misfit as misfit:
            raise misfit.under(f".{key}") from None
    return f"{{{','.join(parts)}}}"


def _write_str(value: str) -> str:
    if "\x00" in value:
        raise Misfit("contains U+0000, which PostgreSQL cannot store", "remove it or encode the bytes as base64")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit(
                "contains a lone surrogate, which UTF-8 cannot hold", "decode the text properly first"
            ) from None
    return encode_basestring(value)


def _write_int(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        raise Misfit("is an integer of more than 4300 digits", "send it as hexadecimal text") from None


def _write_float(value: float) -> str:
    if value - value != 0.0:  # NaN and the infinities
        raise Misfit(f"is {value!r}, which JSON does not have", "send None or a finite number")
    shortest = float.__repr__(value)
    if -_BIG < value < _BIG:
        return shortest
    return f"{Decimal(shortest):f}.0"


_SCALARS: Final[dict[type, Callable[[Any], str]]] = {
    str: _write_str,
    int: _write_int,
    float: _write_float,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda _: "null",
}

_HINTS: Final[dict[type, str]] = {
    bytes: "send it as base64 text, or store it and send its key",
    bytearray: "send it as base64 text, or store it and send its key",
    memoryview: "send it as base64 text, or store it and send its key",
    set: "send a list, or annotate the parameter as set[...]",
    frozenset: "send a list, or annotate the parameter as frozenset[...]",
}


def _refusal(value: Any) -> Misfit:
    kind = type(value).__name__
    remedy = _HINTS.get(type(value)) or (
        f"annotate the parameter as {kind} if that is a type that pgqueue can turn back, or send a plain value"
    )
    return Misfit(f"is of type {kind}, which JSON does not have", remedy)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


# A run of 19 digits, found by turning digits into zeros: 0.3 us at 130 bytes, a regular expression takes 1.0.
_ONLY_DIGITS: Final = bytes(0x30 if 0x30 <= code <= 0x39 else 0x20 for code in range(256))
_LONG_NUMBER: Final = b"0" * 19
_decode = json.JSONDecoder(parse_constant=_constant).decode
_fast: Callable[[bytes], Any] | None
try:
    import orjson
except ImportError:
    _fast = None
else:
    _fast = orjson.loads


def loads(text: str | bytes) -> Any:
    """Read JSON text. Raises InvalidArgument for what is not JSON, or is nested too deeply to be read."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        if _fast is None or (len(raw) >= 19 and _LONG_NUMBER in raw.translate(_ONLY_DIGITS)):
            return _read_slowly(raw)
        return _fast(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"not readable as JSON: {error}") from None


def _read_slowly(raw: bytes) -> Any:
    value = _decode(raw.decode())
    if b"\\u" in raw:  # json reads lone surrogates without a word, orjson and PostgreSQL refuse them
        json.dumps(value, ensure_ascii=False).encode()
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST_READ and _is_deeper(value, _DEEPEST_READ):
        raise RecursionError(f"nested deeper than {_DEEPEST_READ} levels")
    return value


_DEEPEST_READ = 1024  # as orjson; json's own limit is 990 in Python 3.11, and many times that in 3.13


def _is_deeper(value: Any, levels: int) -> bool:
    inside = [value]
    for _ in range(levels):
        containers = (one.values() if isinstance(one, dict) else one for one in inside if isinstance(one, dict | list))
        inside = [child for container in containers for child in container]
        if not inside:
            return False
    return any(isinstance(one, dict | list) for one in inside)


def storable(text: str, limit: int) -> str:
    """Text that PostgreSQL can hold: no NUL, no lone surrogates, the middle left out when it is longer than `limit`."""
    if len(text) > limit:
        text = f"{text[: limit // 3]}\n... {len(text) - limit} characters left out ...\n{text[-(limit - limit // 3) :]}"
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
