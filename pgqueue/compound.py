"""Builds the converters of values made of others: arrays, tuples, objects, literals, unions. I/O-free."""

import collections.abc as abc
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from pgqueue.codec import Misfit
from pgqueue.convert import ANY, Converter, misfit


def array(kind: Callable[[Any], Any], item: Converter, declared: Any) -> Converter:
    """Build the converter of values of `declared`, which come back as `kind`."""
    name = f"{declared.__name__}[{item.name}]"

    def encode(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | dict) or not isinstance(value, declared):
            raise misfit(value, f"a {name}")
        return _each(value, item.encode)

    def decode(value: Any) -> Any:
        if type(value) is not list:
            raise misfit(value, f"a {name} as an array")
        return kind(_each(value, item.decode))

    return Converter(name, encode, decode, frozenset({list}) if kind is list and item is ANY else frozenset())


def record(items: list[Converter]) -> Converter:
    """Build the converter of a tuple with one type a place."""
    name = f"tuple[{', '.join(item.name for item in items)}]"

    def each(value: Any, way: str) -> list[Any]:
        if len(value) != len(items):
            raise misfit(value, f"a {name}")
        return _each(zip(items, value, strict=True), lambda pair: getattr(pair[0], way)(pair[1]))

    def encode(value: Any) -> list[Any]:
        if not isinstance(value, tuple):
            raise misfit(value, f"a {name}")
        return each(value, "encode")

    def decode(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise misfit(value, f"a {name} as an array")
        return tuple(each(value, "decode"))

    return Converter(name, encode, decode)


def mapping(key: Converter, item: Converter) -> Converter:
    """Build the converter of dicts; keys that are not texts travel as texts."""
    name = f"dict[{key.name}, {item.name}]"

    def encode(value: Any) -> dict[str, Any]:
        if not isinstance(value, abc.Mapping):
            raise misfit(value, f"a {name}")
        return {_key(k): v for k, v in _pairs(value, key.encode, item.encode)}

    def decode(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise misfit(value, f"a {name} as an object")
        return dict(_pairs(value, lambda k: _from_key(k, key), item.decode))

    plain = key.name == "str" and item is ANY
    return Converter(name, encode, decode, frozenset({dict}) if plain else frozenset())


def _pairs(
    value: Mapping[Any, Any], key: Callable[[Any], Any], item: Callable[[Any], Any]
) -> abc.Iterator[tuple[Any, Any]]:
    for k, v in value.items():
        try:
            yield key(k), item(v)
        except Misfit as error:
            raise error.under(f".{k}") from None


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Misfit(f"has the key {value!r} of type {type(value).__name__}", "keys must be texts or numbers")
    return repr(value)


def _from_key(key: str, kind: Converter) -> Any:
    """Read an object's key, which is always a text, as what it was: an int if the annotation says so."""
    try:
        return kind.decode(key)
    except Misfit:
        for read in (int, float):
            try:
                return kind.decode(read(key))
            except (ValueError, Misfit):
                continue
        raise


def literal(values: tuple[Any, ...]) -> Converter:
    """Build the converter of the listed values."""
    names = ", ".join(repr(value) for value in values)

    def check(value: Any) -> Any:
        for allowed in values:
            if allowed == value and type(allowed) is type(value):
                return allowed
        raise misfit(value, f"one of {names}")

    def decode(value: Any) -> Any:
        for allowed in values:
            sent = allowed.value if isinstance(allowed, Enum) else allowed
            if sent == value and type(sent) is type(value):
                return allowed
        raise misfit(value, f"one of {names}")

    def encode(value: Any) -> Any:
        found = check(value)
        return found.value if isinstance(found, Enum) else found

    return Converter(f"Literal[{names}]", encode, decode)


def union(members: list[Converter]) -> Converter:
    """Build the converter of the first member that fits, in their order."""
    name = " | ".join(member.name for member in members)
    plain = frozenset[type]().union(*(member.plain for member in members))
    if any(member is ANY for member in members):
        return ANY

    def first(value: Any, way: str) -> Any:
        if type(value) in plain and all(member.plain for member in members):
            return value
        for member in members:
            try:
                return getattr(member, way)(value)
            except Misfit:
                continue
        raise misfit(value, name)

    def encode(value: Any) -> Any:
        sent = first(value, "encode")
        back = first(sent, "decode")
        if type(back) is not type(value) and back != value:  # 1 for a float is no ambiguity
            raise Misfit(
                f"is ambiguous: a {type(value).__name__} would come back as {type(back).__name__}",
                f"change the order of {name} or take one type",
            )
        return sent

    # `datetime | str`: a text may be either, so that texts have to go through decode.
    return Converter(name, encode, lambda value: first(value, "decode"), _unambiguous(members))


def _unambiguous(members: list[Converter]) -> frozenset[type]:
    """Return the types that pass unchanged whatever the others do: all, if no member changes anything."""
    if all(member.plain for member in members):
        return frozenset[type]().union(*(member.plain for member in members))
    return frozenset({type(None)}) if any(type(None) in member.plain for member in members) else frozenset()


def _each(items: Any, convert: Callable[[Any], Any]) -> list[Any]:
    done: list[Any] = []
    try:
        for item in items:
            done.append(convert(item))  # noqa: PERF401 - the place of a misfit is len(done)
    except Misfit as error:
        raise error.under(f"[{len(done)}]") from None
    return done
