"""What can be set about a worker process. I/O-free; checked when made."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgqueue.capture import level_of
from pgqueue.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The settings of a worker process; `--processes` and its like are the fleet's.

    linger      how long a burst goes on looking after it found nothing: what a dead process held falls due again
    queues      queue -> weight; empty: the queues that the app's tasks name, and "default", with equal weights
    strict      take the queues in the order given instead of by weight
    concurrency jobs that one process runs at the same time, of all kinds; sync ones take `threads` of these, cpu ones
                `cpu_processes`
    capture_logs  from which level on what handlers log is kept with their attempts: debug to critical, or off
    otel        make OpenTelemetry spans and metrics
    """

    queues: Mapping[str, int] = field(default_factory=dict)
    strict: bool = True
    concurrency: int = 100
    threads: int = 8
    cpu_processes: int = 1
    burst: bool = False
    max_jobs: int | None = None
    max_memory_mb: int | None = None
    shutdown_timeout_seconds: float = 25.0
    lease_seconds: float = 15.0
    poll_interval_seconds: float = 1.0
    listen: bool = True
    listen_dsn: str | None = None
    only_suspects: bool = False
    linger_seconds: float = 0.0
    step_size: int = 500
    capture_logs: str = "info"
    otel: bool = False

    def __post_init__(self) -> None:
        level_of(self.capture_logs)
        for name, least in (("concurrency", 1), ("threads", 1), ("cpu_processes", 1), ("step_size", 1)):
            _at_least(name, getattr(self, name), least)
        for name in ("max_jobs", "max_memory_mb"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        _at_least("shutdown_timeout", self.shutdown_timeout_seconds, 0)
        _at_least("lease", self.lease_seconds, 1)
        _at_least("poll_interval", self.poll_interval_seconds, 0.01)
        for queue, weight in self.queues.items():
            if not queue:
                raise ConfigError("queue: must not be empty; write -q mail,default or -q mail:3,default:1")
            _at_least(f'weight of queue "{queue}"', weight, 1)


def _at_least(name: str, value: float, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise ConfigError(f"{name}: must be at least {least}, got {value!r}")


def parse_queues(text: str) -> tuple[dict[str, int], bool]:
    """Read `a,b` (strict order) or `a:3,b:1` (weights): the queues and whether they are strict. Raises ConfigError."""
    queues: dict[str, int] = {}
    weighted = []
    for part in text.split(","):
        name, colon, weight = part.strip().partition(":")
        if (colon and not weight.isascii()) or (colon and not weight.isdigit()):
            raise ConfigError(f'queues "{text}": the weight of "{name}" must be a whole number, got "{weight}"')
        if not name:
            raise ConfigError(f'queues "{text}": a name is missing; write -q mail,default or -q mail:3,default:1')
        if name in queues:
            raise ConfigError(f'queues "{text}": "{name}" is named twice')
        queues[name] = int(weight) if colon else 1
        weighted.append(bool(colon))
    if any(weighted) and not all(weighted):
        raise ConfigError(f'queues "{text}": give every queue a weight (a:3,b:1) or none (a,b is strict order)')
    return queues, not any(weighted)
