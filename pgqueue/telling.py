"""What logs and messages may say of values and exceptions.

I/O-free. Whoever passes a value that is refused is told its beginning, never all of it. A log is never told the
contents of a job, which messages of exceptions may quote: a handler's exception says whatever it likes, and is often
the context of one of ours; the server's messages about data quote them, and its details show whole rows. What is
written to a log instead: the kind, and the place.
"""

from types import TracebackType
from typing import Final

FRAMES: Final = 8  # the innermost ones
SHOWN: Final = 60  # characters of a value

# Classes of SQLSTATE whose messages quote values: data exceptions, integrity violations. PQ002 names a key.
_QUOTING: Final = ("22", "23", "PQ002")


def brief(value: object) -> str:
    """Return the repr of a value that is refused, cut to its beginning."""
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - an integer of 5,000 digits, an object whose own code fails
        return f"a value of type {type(value).__name__}"
    return shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."


def said_by(error: BaseException) -> str:
    """Return the message of an exception, which may be unable to say anything: that must not end who asks."""
    try:
        return str(error)
    except BaseException as broken:  # noqa: BLE001 - even SystemExit, which would end the worker's loop
        return f"(its message raised {type(broken).__name__})"


def place_of(error: BaseException) -> str:
    """Return the type of an exception and where it was raised, innermost frame first, on one line."""
    frames = _frames(error.__traceback__)[-FRAMES:]
    return " < ".join([type(error).__name__, *reversed(frames)])


def reason_of(error: BaseException) -> str:
    """Return what failed, for errors of the database and of its connection: the server's own words unless they may
    quote data, without details and contexts.
    """
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate is None:  # libpq's words about a connection: addresses and users, no passwords
        return str(error).strip() or type(error).__name__
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    if not said or sqlstate.startswith(_QUOTING):
        return f"{type(error).__name__}, SQLSTATE {sqlstate}"
    return str(said)


def _frames(at: TracebackType | None) -> list[str]:
    found = []
    while at is not None:
        code = at.tb_frame.f_code
        found.append(f"{code.co_filename}:{at.tb_lineno} in {code.co_name}")
        at = at.tb_next
    return found
