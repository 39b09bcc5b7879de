"""Uncompressed video: YUV4MPEG2 (mjpegtools, yuv4mpeg(5)) in 4:4:4, which every player and encoder reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"YUV4MPEG2"
FRAME = b"FRAME"


@dataclass(frozen=True, slots=True)
class Film:
    """Frames of width times height pixels: the planes Y, Cb and Cr, one after the other."""

    width: int
    height: int
    per_second: int
    frames: tuple[bytes, ...]

    def rgb(self, frame: int) -> bytes:
        """Return a frame as three bytes a pixel: red, green, blue."""
        planes, size = self.frames[frame], self.width * self.height
        pixels = zip(planes[:size], planes[size : 2 * size], planes[2 * size :], strict=True)
        return b"".join(_rgb(*pixel) for pixel in pixels)


@lru_cache(maxsize=65_536)
def _rgb(y: int, cb: int, cr: int) -> bytes:
    """Convert a pixel: ITU-R BT.601, limited range."""
    light, blue, red = 1.164 * (y - 16), cb - 128, cr - 128
    return bytes(map(_byte, (light + 1.596 * red, light - 0.392 * blue - 0.813 * red, light + 2.017 * blue)))


def _byte(value: float) -> int:
    return max(0, min(255, round(value)))


def draw(width: int, height: int, frames: int, *, tint: int, per_second: int = 12) -> Film:
    """Draw a film: a bright square wanders over a slope of grey that is tinted."""
    side, size = height // 3, width * height
    ground = bytes(32 + 128 * x // width for x in range(width)) * height
    shades = bytes([128 + tint]) * size + bytes([128 - tint]) * size
    made = []
    for number in range(frames):
        light = bytearray(ground)
        left, top = (width - side) * number // max(frames - 1, 1), (height - side) * (number % 8) // 7
        for row in range(top, top + side):
            light[row * width + left : row * width + left + side] = bytes([225]) * side
        made.append(bytes(light) + shades)
    return Film(width, height, per_second, tuple(made))


def write(path: Path, film: Film) -> None:
    """Write a film to a file."""
    header = b"%b W%d H%d F%d:1 Ip A1:1 C444\n" % (MAGIC, film.width, film.height, film.per_second)
    path.write_bytes(header + b"".join(FRAME + b"\n" + frame for frame in film.frames))


def read(path: Path) -> Film:
    """Read a film from a file. Raises ValueError for one that is not like those that `write` makes."""
    header, _, rest = path.read_bytes().partition(b"\n")
    magic, *words = header.split()
    fields = {word[:1]: word[1:] for word in words}
    if magic != MAGIC or fields.get(b"C") != b"444":
        raise ValueError(f"{path.name} is not a YUV4MPEG2 file in 4:4:4")
    width, height = int(fields[b"W"]), int(fields[b"H"])
    frames: list[bytes] = []
    size = 3 * width * height
    while rest:
        mark, _, rest = rest.partition(b"\n")
        if not mark.startswith(FRAME) or len(rest) < size:
            raise ValueError(f"{path.name} breaks off in frame {len(frames)}")
        frames.append(rest[:size])
        rest = rest[size:]
    return Film(width, height, int(fields[b"F"].partition(b":")[0]), tuple(frames))
