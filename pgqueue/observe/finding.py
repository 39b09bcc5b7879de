"""What a check of `pgq doctor` says. No I/O."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is: a failure needs somebody now, a warning will need somebody, or costs something."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a check. `detail` says what was found, `remedy` what to do about it."""

    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with the name of its check."""

    check: str
    status: Status
    detail: str
    remedy: str = ""


def ok(detail: str, remedy: str = "") -> Verdict:
    """All is well; a remedy is then advice."""
    return Verdict(Status.OK, detail, remedy)


def warning(detail: str, remedy: str) -> Verdict:
    """Something to see to."""
    return Verdict(Status.WARNING, detail, remedy)


def failure(detail: str, remedy: str) -> Verdict:
    """Something is broken."""
    return Verdict(Status.FAILURE, detail, remedy)
