"""PNG (https://www.w3.org/TR/png-3/) of 8-bit RGB pixels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """Width times height pixels, each three bytes, red, green and blue."""

    width: int
    height: int
    pixels: bytes

    def halved(self) -> Picture:
        """Return every second pixel of every second row."""
        line = 3 * self.width
        rows = [self.pixels[at : at + line] for at in range(0, len(self.pixels), 2 * line)]
        halves = [b"".join(row[at : at + 3] for at in range(0, line, 6)) for row in rows]
        return Picture((self.width + 1) // 2, len(rows), b"".join(halves))


def write(path: Path, picture: Picture) -> None:
    """Write a picture to a file."""
    line = 3 * picture.width
    rows = (b"\x00" + picture.pixels[at : at + line] for at in range(0, len(picture.pixels), line))
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")
    path.write_bytes(SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks))


def read(path: Path) -> Picture:
    """Read a picture whose rows are not filtered. Raises ValueError for anything else, and for a wrong checksum."""
    data = path.read_bytes()
    if not data.startswith(SIGNATURE):
        raise ValueError(f"{path.name} is not a PNG")
    found, at = {}, len(SIGNATURE)
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found[kind] = data[at + 8 : at + 8 + size]
        if data[at : at + 12 + size] != _chunk(kind, found[kind]):
            raise ValueError(f"{path.name}: the checksum of {kind.decode()} is wrong")
        at += 12 + size
    width, height, *kind = struct.unpack(">IIBBBBB", found[b"IHDR"])
    line = 3 * width + 1
    packed = zlib.decompress(found[b"IDAT"])
    if b"IEND" not in found or kind != [8, 2, 0, 0, 0] or len(packed) != line * height or any(packed[::line]):
        raise ValueError(f"{path.name} is not whole, or of a kind that is not read here")
    return Picture(width, height, b"".join(packed[at + 1 : at + line] for at in range(0, len(packed), line)))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
