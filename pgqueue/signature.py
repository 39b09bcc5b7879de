"""A task's parameters, compiled once: arguments to JSON text at enqueue, JSON object to arguments when run. I/O-free.

Most tasks take a few plain values. For them `encode` and `bind` only look at names and exact types; everything else
(defaults left out, positional arguments, types that need converting, and every mistake) takes the thorough way, which
is the only one that knows the rules. What is not passed is not sent: a default is the one of the code that runs.

    parameter        in the JSON object
    name             "name": value
    *names           "names": [values]
    **names          one member for each
"""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from types import SimpleNamespace
from typing import Any, Optional

from pgqueue.annotation import converter
from pgqueue.codec import Misfit, write
from pgqueue.convert import Converter
from pgqueue.errors import ArgumentError, ConfigError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_BY_POSITION = {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}


class Signature:
    """The parameters of one task."""

    def __init__(self, task: str, parameters: Sequence[Parameter], hints: Mapping[str, Any], *, max_bytes: int) -> None:
        self._task = task
        self._max_bytes = max_bytes
        self._parameters = {parameter.name: parameter for parameter in parameters}
        self._converters = {p.name: _converter(p, hints.get(p.name, Any)) for p in parameters}
        self._required = frozenset(p.name for p in parameters if p.default is Parameter.empty and not _variadic(p))
        self._extra = next((p.name for p in parameters if p.kind is Parameter.VAR_KEYWORD), None)
        self._shape = inspect.Signature(parameters, __validate_parameters__=False)
        self._plain = {p.name: self._converters[p.name].plain for p in parameters if p.kind in _BY_KEYWORD}
        self._heads = {name: f"{write(name, 0)}:" for name in self._plain}
        self._places = tuple(p.name for p in parameters if p.kind is Parameter.POSITIONAL_OR_KEYWORD)
        if len(self._plain) < len(self._parameters):
            self._places = ()
        self.bind: Callable[[dict[str, Any]], Arguments] = self._binder()

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Return the JSON text of the arguments of a call. Raises ArgumentError."""
        given = kwargs
        if args:
            if kwargs or len(args) > len(self._places):
                return self._encode_thoroughly(args, kwargs)
            given = dict(zip(self._places, args, strict=False))
        plain = self._plain
        parts = []
        try:
            for name, value in given.items():
                if type(value) not in plain[name]:
                    return self._encode_thoroughly(args, kwargs)
                parts.append(self._heads[name] + write(value, 1))
        except (KeyError, Misfit):
            return self._encode_thoroughly(args, kwargs)
        if len(parts) < len(plain) and not self._required <= given.keys():
            return self._encode_thoroughly(args, kwargs)
        return self._sized(f"{{{','.join(parts)}}}")

    def _encode_thoroughly(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        try:
            given = dict(self._shape.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise ArgumentError(f'task "{self._task}": {error}; it takes {self._takes()}') from None
        if self._extra is not None:
            extra = given.pop(self._extra, {})
            if taken := sorted(extra.keys() & self._parameters.keys()):
                raise ArgumentError(
                    f'task "{self._task}": argument "{taken[0]}" cannot be told from the parameter of that name in '
                    f"{self._takes()}, because a job has one member for each; take another name"
                )
            given |= extra
        parts = []
        for name, value in given.items():
            try:
                parts.append(f"{write(name, 0)}:{write(self._converter(name).encode(value), 1)}")
            except Misfit as misfit:
                raise self._refusal(name, misfit) from None
        return self._sized(f"{{{','.join(parts)}}}")

    def _sized(self, text: str) -> str:
        if len(text) * 4 > self._max_bytes and (size := len(text.encode())) > self._max_bytes:
            raise ArgumentError(
                f'task "{self._task}": the arguments take {size:,} bytes as JSON, at most {self._max_bytes:,} are '
                "allowed; store the data and send its key, or raise App(max_args_bytes=...)"
            )
        return text

    def _binder(self) -> Callable[[dict[str, Any]], Arguments]:
        """Build the quickest `bind` that the parameters allow."""
        thoroughly = self._bind_thoroughly
        if len(self._plain) < len(self._parameters):
            return thoroughly
        plain, required, count = self._plain, self._required, len(self._plain)

        def bind_none(given: dict[str, Any]) -> Arguments:
            return thoroughly(given) if given else ((), {})

        def bind(given: dict[str, Any]) -> Arguments:
            try:
                for name, value in given.items():
                    if type(value) not in plain[name]:
                        return thoroughly(given)
            except (KeyError, AttributeError):
                return thoroughly(given)
            if len(given) < count and not required <= given.keys():
                return thoroughly(given)
            return (), given

        return bind if count else bind_none

    def _bind_thoroughly(self, given: dict[str, Any]) -> Arguments:
        if not isinstance(given, dict):
            raise ArgumentError(f'task "{self._task}": the arguments must be a JSON object, got {type(given).__name__}')
        if missing := sorted(self._required - given.keys()):
            raise ArgumentError(f'task "{self._task}": argument "{missing[0]}" is missing; it takes {self._takes()}')
        decoded = {name: self._decode(name, value) for name, value in given.items()}
        args: list[Any] = []
        for name, parameter in self._parameters.items():
            if parameter.kind is Parameter.VAR_POSITIONAL:
                args.extend(decoded.pop(name, ()))
            elif parameter.kind in _BY_POSITION and self._positional:
                args.append(decoded.pop(name, parameter.default))
        return tuple(args), decoded

    @property
    def _positional(self) -> bool:
        return any(p.kind in {Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL} for p in self._parameters.values())

    def _decode(self, name: str, value: Any) -> Any:
        try:
            return self._converter(name).decode(value)
        except Misfit as misfit:
            raise self._refusal(name, misfit) from None

    def _converter(self, name: str) -> Converter:
        found = self._converters.get(name)
        if found is None or name == self._extra:
            if self._extra is None:
                raise ArgumentError(f'task "{self._task}": it has no argument "{name}"; it takes {self._takes()}')
            return self._converters[self._extra]
        return found

    def _refusal(self, name: str, misfit: Misfit) -> ArgumentError:
        remedy = f"; {misfit.remedy}" if misfit.remedy else ""
        return ArgumentError(f'task "{self._task}": argument "{name}{misfit.path}" {misfit.what}{remedy}')

    def _takes(self) -> str:
        return str(self._shape) if self._parameters else "no arguments"


_BY_KEYWORD = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}


def _variadic(parameter: Parameter) -> bool:
    return parameter.kind in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}


def _converter(parameter: Parameter, hint: Any) -> Converter:
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return converter(tuple[hint, ...])
    if parameter.default is None:
        hint = Optional[hint]  # noqa: UP045 - `|` fails for what is no type
    return converter(hint)


def resolve_hints(task: str, parameters: Sequence[Parameter], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the annotations of the parameters, and of nothing else. Raises ConfigError for one that is unknown."""
    hints: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.annotation is Parameter.empty:
            continue
        holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        try:
            hints |= typing.get_type_hints(holder, dict(scope), include_extras=True)
        except (NameError, AttributeError, SyntaxError) as error:
            raise ConfigError(
                f'task "{task}": the annotation {parameter.annotation!r} of parameter "{parameter.name}" cannot be '
                f"resolved ({error}); import it where the task is defined, outside of `if TYPE_CHECKING`"
            ) from None
    return hints
