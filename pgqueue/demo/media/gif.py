"""Animated GIF 89a (https://www.w3.org/Graphics/GIF/spec-gif89a.txt) with a palette of 6 x 6 x 6 colours."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LEVELS = 6
STEP = 255 // (LEVELS - 1)
BITS = 8
CLEAR, END = 1 << BITS, (1 << BITS) + 1
MOST_CODES = 4096
_PALETTE = [tuple(STEP * level for level in levels) for levels in product(range(LEVELS), repeat=3)]
_FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


@dataclass(frozen=True, slots=True)
class Animation:
    """Frames of width times height pixels, each three bytes, red, green and blue."""

    width: int
    height: int
    delay_seconds: float
    frames: tuple[bytes, ...]


def write(path: Path, animation: Animation) -> None:
    """Write an animation to a file; its colours become the nearest of the palette."""
    width, height = animation.width, animation.height
    table = bytes(value for colour in _PALETTE for value in colour).ljust(3 << BITS, b"\x00")
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0xF0 | BITS - 1, 0, 0), table, _FOREVER]
    for frame in animation.frames:
        parts += [
            struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 4, round(animation.delay_seconds * 100), 0, 0),
            struct.pack("<BHHHHB", 0x2C, 0, 0, width, height, 0),
            bytes([BITS]),
            *_blocks(_compressed(_indexed(frame))),
        ]
    path.write_bytes(b"".join(parts) + b"\x3b")


def read(path: Path) -> Animation:
    """Read an animation with a global palette and whole frames. Raises ValueError for anything else."""
    data = path.read_bytes()
    if data[:6] != b"GIF89a" or not data[10] & 0x80:
        raise ValueError(f"{path.name} is not a GIF 89a with a global palette")
    width, height = struct.unpack_from("<HH", data, 6)
    at = 13 + (3 << (data[10] & 7) + 1)
    palette = [data[place : place + 3] for place in range(13, at, 3)]
    frames, delay = [], 0
    while data[at] != 0x3B:
        if data[at] == 0x21:
            delay = struct.unpack_from("<H", data, at + 4)[0] if data[at + 1] == 0xF9 else delay
            _, at = _joined(data, at + 2)
            continue
        if data[at] != 0x2C or struct.unpack_from("<HHHHB", data, at + 1) != (0, 0, width, height, 0):
            raise ValueError(f"{path.name} has a frame that is not whole")
        packed, bits = at + 11, data[at + 10]
        codes, at = _joined(data, packed)
        frames.append(b"".join(palette[index] for index in _expanded(codes, bits)))
    return Animation(width, height, delay / 100, tuple(frames))


def _indexed(frame: bytes) -> list[int]:
    level = [round(value / STEP) for value in range(256)]
    red, green, blue = frame[0::3], frame[1::3], frame[2::3]
    return [(level[r] * LEVELS + level[g]) * LEVELS + level[b] for r, g, b in zip(red, green, blue, strict=True)]


def _compressed(indices: Iterable[int]) -> bytes:
    """Compress by LZW with codes of variable length, the shortest bits first."""
    packed, used, out = 0, 0, bytearray()
    for code, length in _codes(indices):
        packed |= code << used
        used += length
        while used >= 8:
            out.append(packed & 0xFF)
            packed >>= 8
            used -= 8
    return bytes(out) + (bytes([packed]) if used else b"")


def _codes(indices: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield each code with its length in bits."""
    table: dict[tuple[int, int], int] = {}
    following, length, prefix = END + 1, BITS + 1, -1
    yield CLEAR, length
    for index in indices:
        if prefix < 0 or (prefix, index) in table:
            prefix = index if prefix < 0 else table[prefix, index]
            continue
        yield prefix, length
        if following < MOST_CODES:
            table[prefix, index] = following
            length += following == 1 << length
            following += 1
        else:
            yield CLEAR, length
            table.clear()
            following, length = END + 1, BITS + 1
        prefix = index
    yield prefix, length
    yield END, length + (following == 1 << length and length < 12)


def _expanded(data: bytes, bits: int) -> Iterator[int]:
    clear = 1 << bits
    table: list[bytes] = []
    length, before = bits + 1, b""
    packed, used = 0, 0
    for byte in data:
        packed |= byte << used
        used += 8
        if used < length:
            continue
        code = packed & (1 << length) - 1
        packed >>= length
        used -= length
        if code == clear:
            table, length, before = [bytes([value]) for value in range(clear)] + [b"", b""], bits + 1, b""
            continue
        if code == clear + 1:
            return
        entry = table[code] if code < len(table) else before + before[:1]
        if before and len(table) < MOST_CODES:
            table.append(before + entry[:1])
        length = min(max(length, len(table).bit_length()), 12)
        yield from entry
        before = entry


def _blocks(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 255):
        block = data[at : at + 255]
        yield bytes([len(block)]) + block
    yield b"\x00"


def _joined(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the contents of the blocks from here, and where they end."""
    parts = []
    while size := data[at]:
        parts.append(data[at + 1 : at + 1 + size])
        at += size + 1
    return b"".join(parts), at + 1
