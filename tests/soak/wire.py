"""As much of PostgreSQL's protocol as it takes to see what a worker's step asks for and what it brings back.

Version 3: https://www.postgresql.org/docs/current/protocol-message-formats.html. psycopg sends the messages of one
statement in one piece, and these are short: a piece is read by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import unpack_from

# The parameters of pgqueue/sql/step.sql, by their places in the text.
STEP_PARAMETERS = 13
MAX_JOBS, DONE_IDS = 5, 9
JOB_ROW = b"\x00\x00\x00\x03job"  # the first column of a row of a claimed job, as text with its length


@dataclass(frozen=True, slots=True)
class Step:
    """What a step asks for: how many jobs to claim, and whether it settles any."""

    claims: bool
    settles: bool


def step_in(data: bytes) -> Step | None:
    """The step that a client's messages carry out, if they do."""
    for kind, body in messages(data):
        if kind != b"B":
            continue
        formats, values = _parameters(body)
        if len(values) != STEP_PARAMETERS:
            continue
        done = values[DONE_IDS] or b"{}"
        return Step(claims=_number(values[MAX_JOBS], binary=formats[MAX_JOBS]) > 0, settles=done != b"{}")
    return None


def messages(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The messages with a kind in a piece of a conversation; nothing of the start-up, which has none."""
    place = 0
    while place + 5 <= len(data) and data[place : place + 1].isalnum():
        (length,) = unpack_from("!i", data, place + 1)
        yield data[place : place + 1], data[place + 5 : place + 1 + length]
        place += 1 + length


def _parameters(body: bytes) -> tuple[list[bool], list[bytes | None]]:
    """Of a Bind: whether each parameter is binary, and the parameters."""
    place = body.index(b"\0", body.index(b"\0") + 1) + 1
    (count,) = unpack_from("!h", body, place)
    codes = unpack_from(f"!{count}h", body, place + 2)
    place += 2 + 2 * count
    (total,) = unpack_from("!h", body, place)
    place += 2
    values: list[bytes | None] = []
    for _ in range(total):
        (length,) = unpack_from("!i", body, place)
        place += 4
        values.append(None if length < 0 else body[place : place + length])
        place += max(length, 0)
    each = list(codes) * total if count == 1 else list(codes) or [0] * total
    return [code == 1 for code in each], values


def _number(value: bytes | None, *, binary: bool) -> int:
    if value is None:
        return 0
    return int.from_bytes(value, "big", signed=True) if binary else int(value)
