"""Sound in RIFF WAVE files, one channel: 16-bit PCM, and 8-bit mu-law (ITU-T G.711), which telephones use."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PCM, MU_LAW = 1, 7
_BIAS, _CLIP = 0x84, 32_635


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples from -32768 to 32767."""

    per_second: int
    samples: tuple[int, ...]
    form: int = PCM


def write(path: Path, sound: Sound) -> None:
    """Write a sound to a file, in its form."""
    if sound.form == MU_LAW:
        data, width = bytes(map(compressed, sound.samples)), 1
    else:
        data, width = struct.pack(f"<{len(sound.samples)}h", *sound.samples), 2
    rate = sound.per_second
    form = struct.pack("<HHIIHH", sound.form, 1, rate, rate * width, width, 8 * width)
    body = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"data", data)
    path.write_bytes(_chunk(b"RIFF", body))


def read(path: Path) -> Sound:
    """Read a sound from a file. Raises ValueError for what is neither of the two forms, or not of one channel."""
    data = path.read_bytes()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{path.name} is not a RIFF WAVE file")
    found, at = {}, 12
    while at < len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        found[kind] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", found[b"fmt "])
    samples = found[b"data"]
    match (form, channels, bits):
        case (1, 1, 16):
            return Sound(rate, struct.unpack(f"<{len(samples) // 2}h", samples))
        case (7, 1, 8):
            return Sound(rate, tuple(map(_EXPANDED.__getitem__, samples)), MU_LAW)
    raise ValueError(f"{path.name}: form {form} with {channels} channels of {bits} bits is not read here")


def compressed(sample: int) -> int:
    """Compress a sample to a byte."""
    sign, size = (0x80, -sample) if sample < 0 else (0, sample)
    size = min(size, _CLIP) + _BIAS
    exponent = size.bit_length() - 8
    return ~(sign | exponent << 4 | size >> exponent + 3 & 0x0F) & 0xFF


def expanded(byte: int) -> int:
    """Return the sample that a byte stands for."""
    code = ~byte & 0xFF
    size = ((code & 0x0F) << 3) + _BIAS << (code >> 4 & 7)
    return _BIAS - size if code & 0x80 else size - _BIAS


_EXPANDED = array("h", map(expanded, range(256)))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)
