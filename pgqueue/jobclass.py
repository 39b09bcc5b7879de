"""Jobs as classes: the fields are the arguments, `run` is the code. I/O-free."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from typing import TYPE_CHECKING, Any, dataclass_transform

from pgqueue.errors import ConfigError
from pgqueue.task import Definition, without_context

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass_transform(kw_only_default=True)
class Job:
    """Subclass this, name the fields, write `run(self)` or `run(self, ctx)`, async or not, and put `@app.job` above.

    Subclasses are dataclasses with keyword-only fields, without any further decorator.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclasses.dataclass(kw_only=True)(cls)

    def run(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002 - subclasses choose their own
        """Do the work. Every subclass has its own; raises ConfigError where it has not."""
        raise _without_run(type(self))


def define(cls: type[Job]) -> Definition:
    """Look at a class. Raises ConfigError if it cannot be a task."""
    code: Any = cls
    if not (isinstance(code, type) and issubclass(code, Job)) or code is Job:
        raise ConfigError(
            f"@app.job goes above a subclass of pgqueue.Job, got {cls!r}; for a function there is @app.task"
        )
    if cls.run is Job.run:
        raise _without_run(cls)
    run = inspect.signature(cls.run)
    rest, wants_ctx = without_context(cls.__qualname__, tuple(run.parameters.values())[1:])
    if rest:
        raise ConfigError(f'job "{cls.__qualname__}": run takes only ctx; make "{rest[0].name}" a field of the class')
    return Definition(
        cls,
        run_target=_runner(cls, wants_ctx=wants_ctx),
        parameters=tuple(inspect.signature(cls).parameters.values()),
        scope={**vars(sys.modules[cls.__module__]), cls.__name__: cls},
        returns=run.return_annotation,
        is_async=inspect.iscoroutinefunction(cls.run),
        wants_ctx=wants_ctx,
    )


def fields_of(job: Job) -> dict[str, Any]:
    """Return the arguments that an instance stands for."""
    return {field.name: getattr(job, field.name) for field in dataclasses.fields(job) if field.init}  # type: ignore[arg-type]


def _without_run(cls: type[Job]) -> ConfigError:
    return ConfigError(f'job "{cls.__qualname__}": write `def run(self, ctx)` or `async def run(self, ctx)`')


def _runner(cls: type[Job], *, wants_ctx: bool) -> Callable[..., Any]:
    def run_with(ctx: Any, **fields: Any) -> Any:
        return cls(**fields).run(ctx)

    def run(**fields: Any) -> Any:
        return cls(**fields).run()

    return run_with if wants_ctx else run
