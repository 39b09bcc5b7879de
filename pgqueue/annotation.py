"""Finds the converter of an annotation: the generic half of `convert`, which knows the types that stand alone.

I/O-free. Classes with fields are compiled when their first value comes by, so that they may refer to themselves.
"""

import collections.abc as abc
import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, NewType, NotRequired, Required, TypeVar, Union

from pgqueue import compound
from pgqueue.codec import Misfit
from pgqueue.convert import ANY, SCALARS, Converter, enum, misfit, model

_ARRAYS: Mapping[Any, Callable[[Any], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.Set: set,
    abc.MutableSet: set,
}
_OBJECTS = frozenset({dict, abc.Mapping, abc.MutableMapping})


def converter(annotation: Any) -> Converter:
    """Return the converter of a resolved annotation.

    A class that cannot be converted still gets one: its values are refused with a reason when they come.
    """
    try:
        return _converter(annotation)
    except TypeError:  # unhashable, such as Literal[[]] or Annotated[int, {}]
        return _build(annotation)


@functools.lru_cache(maxsize=4096)
def _converter(annotation: Any) -> Converter:
    return _build(annotation)


def _build(annotation: Any) -> Converter:
    if isinstance(annotation, abc.Hashable) and annotation in SCALARS:
        return SCALARS[annotation]
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in {Annotated, Required, NotRequired}:
        return converter(arguments[0])
    if origin is Literal:
        return compound.literal(arguments)
    if origin in {Union, types.UnionType}:
        return compound.union([converter(member) for member in arguments])
    if isinstance(annotation, NewType):
        return converter(annotation.__supertype__)
    if isinstance(annotation, TypeVar) or annotation is abc.Callable:
        return ANY
    if hasattr(annotation, "__value__"):  # `type X = ...` of Python 3.12
        return converter(annotation.__value__)
    return _container(origin or annotation, arguments) or _class(origin or annotation)


def _container(kind: Any, arguments: tuple[Any, ...]) -> Converter | None:
    if kind is tuple:
        if not arguments or arguments[-1] is Ellipsis:
            return compound.array(tuple, converter(arguments[0] if arguments else Any), tuple)
        return compound.record([converter(argument) for argument in arguments])
    if kind in _ARRAYS:
        return compound.array(_ARRAYS[kind], converter(arguments[0] if arguments else Any), kind)
    if kind in _OBJECTS:
        key, item = arguments or (Any, Any)
        return compound.mapping(converter(str if key is Any else key), converter(item))
    return None


def _class(kind: Any) -> Converter:
    if not isinstance(kind, type):
        return ANY
    if issubclass(kind, Enum):
        return enum(kind)
    if typing.is_typeddict(kind):
        return _fields(kind, dict, getattr(kind, "__required_keys__", frozenset()))
    if issubclass(kind, tuple) and hasattr(kind, "_field_defaults"):
        return _fields(kind, kind, frozenset(getattr(kind, "_fields", ())) - kind._field_defaults.keys())
    if found := model(kind):
        return found
    if dataclasses.is_dataclass(kind):
        return _fields(kind, kind, _required_fields(kind))
    for base in (str, int, float):  # `class Email(str)` comes back as itself
        if issubclass(kind, base):
            return _subclass(kind, SCALARS[base])
    return _unknown(kind)


def _subclass(kind: Any, plain: Converter) -> Converter:
    return Converter(kind.__name__, plain.encode, lambda value: kind(plain.decode(value)))


def _unknown(kind: type) -> Converter:
    def refuse(value: Any) -> Any:
        raise Misfit(
            f"is of type {type(value).__name__}, declared as {kind.__name__}, which pgqueue cannot turn into JSON",
            "send its id and load it in the task, or use a dataclass or a Pydantic model",
        )

    return Converter(kind.__name__, refuse, refuse)


def _required_fields(kind: Any) -> frozenset[str]:
    missing = dataclasses.MISSING
    return frozenset(
        field.name
        for field in dataclasses.fields(kind)
        if field.init and field.default is missing and field.default_factory is missing
    )


def _fields(kind: Any, build: Callable[..., Any], required: frozenset[str]) -> Converter:
    @functools.cache
    def members() -> dict[str, Converter]:
        hints = typing.get_type_hints(kind, include_extras=True)
        names = [f.name for f in dataclasses.fields(kind) if f.init] if dataclasses.is_dataclass(kind) else list(hints)
        return {name: converter(hints[name]) for name in names}

    def encode(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict if build is dict else kind):
            raise misfit(value, f"a {kind.__name__}")
        get = value.__getitem__ if build is dict else functools.partial(getattr, value)
        present = value.keys() if build is dict else members().keys()
        return _named(kind, {name: get(name) for name in present}, members(), required, "encode")

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise misfit(value, f"a {kind.__name__} as an object")
        return build(**_named(kind, value, members(), required, "decode"))

    return Converter(kind.__name__, encode, decode)


def _named(
    kind: Any, given: Mapping[str, Any], members: Mapping[str, Converter], required: frozenset[str], way: str
) -> dict[str, Any]:
    if unknown := given.keys() - members.keys():
        raise Misfit(f"has no field {min(map(str, unknown))!r} in {kind.__name__}", f"it has {', '.join(members)}")
    if missing := required - given.keys():
        raise Misfit(f"lacks the field {min(missing)!r} of {kind.__name__}")
    done = {}
    for name, item in given.items():
        try:
            done[name] = getattr(members[name], way)(item)
        except Misfit as error:
            raise error.under(f".{name}") from None
    return done
