"""Speech for machines: text as a row of tones, two for each byte of its UTF-8, and what a listener makes of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PER_SECOND = 8_000
WINDOW = 160  # samples of a tone: 20 ms, in which each of the tones swings a whole number of times
TONES = tuple(400 + 100 * number for number in range(16))
LOUDNESS = 12_000


def spoken(text: str) -> tuple[int, ...]:
    """Return the samples of a text."""
    return tuple(sample for byte in text.encode() for half in (byte >> 4, byte & 15) for sample in _tone(half))


def heard(samples: Sequence[int]) -> str:
    """Return the text that is spoken. Raises ValueError when it is not UTF-8."""
    halves = [_loudest(samples[at : at + WINDOW]) for at in range(0, len(samples) - WINDOW + 1, WINDOW)]
    return bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=False)).decode()


def _tone(number: int) -> list[int]:
    turn = 2 * math.pi * TONES[number] / PER_SECOND
    return [round(LOUDNESS * math.sin(turn * place)) for place in range(WINDOW)]


def _loudest(samples: Sequence[int]) -> int:
    return max(range(len(TONES)), key=lambda number: _power(samples, TONES[number]))


def _power(samples: Sequence[int], tone: int) -> float:
    """Measure how much of a tone there is: G. Goertzel, American Mathematical Monthly 65 (1958), 34-35."""
    factor = 2 * math.cos(2 * math.pi * tone / PER_SECOND)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + factor * last - before
    return before * before + last * last - factor * before * last
