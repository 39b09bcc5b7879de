"""The demo's media files: what is written can be read, by the book, and what is broken is refused."""

import random
import struct
import zlib
from pathlib import Path

import pytest

from pgqueue.demo import video
from pgqueue.demo.media import film, gif, png, sound, tones

# Two pixels by two, drawn by hand: red, green, blue, white; 8-bit RGB, no filters.
PIXELS = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
# From W3C, "What's in a GIF" (Matthew Flickinger): a sample of 10 x 10 pixels in 4 colours, codes of 3 bits at first.
SAMPLE = bytes.fromhex(
    "474946383961 0a000a00 91 00 00 ffffff ff0000 0000ff 000000"
    "21f904 00 0000 00 00 2c 0000 0000 0a00 0a00 00"
    "02 16 8c2d99872a1cdc33a00275ec95faa8de608c04914c01 00 3b"
)


def noise(pixels: int) -> bytes:
    return random.Random(pixels).randbytes(3 * pixels)


def test_a_film_is_what_was_written(tmp_path: Path) -> None:
    shot = film.draw(24, 18, 5, tint=20, per_second=10)

    film.write(tmp_path / "a.y4m", shot)

    assert film.read(tmp_path / "a.y4m") == shot
    assert (tmp_path / "a.y4m").read_bytes().startswith(b"YUV4MPEG2 W24 H18 F10:1 Ip A1:1 C444\nFRAME\n")
    assert len(set(shot.frames)) == 5


@pytest.mark.parametrize("keep", [0.3, 0.999])
def test_a_film_that_breaks_off_is_refused(keep: float, tmp_path: Path) -> None:
    film.write(tmp_path / "a.y4m", film.draw(24, 18, 5, tint=0))
    whole = (tmp_path / "a.y4m").read_bytes()
    (tmp_path / "a.y4m").write_bytes(whole[: int(len(whole) * keep)])

    with pytest.raises(ValueError, match="breaks off"):
        film.read(tmp_path / "a.y4m")


def test_a_film_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.y4m").write_bytes(b"YUV4MPEG2 W2 H2 F1:1 C420\nFRAME\n123456")

    with pytest.raises(ValueError, match="4:4:4"):
        film.read(tmp_path / "a.y4m")


@pytest.mark.parametrize(
    ("pixel", "colour"), [((16, 128, 128), (0, 0, 0)), ((235, 128, 128), (255, 255, 255)), ((81, 90, 240), (254, 0, 0))]
)
def test_colours_are_those_of_bt_601(pixel: tuple[int, int, int], colour: tuple[int, int, int]) -> None:
    assert film.Film(1, 1, 1, (bytes(pixel),)).rgb(0) == bytes(colour)


def test_a_gif_made_by_somebody_else_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(SAMPLE)

    seen = gif.read(tmp_path / "a.gif")

    white, red, blue = b"\xff\xff\xff", b"\xff\x00\x00", b"\x00\x00\xff"
    assert (seen.width, seen.height, len(seen.frames)) == (10, 10, 1)
    assert seen.frames[0][:30] == 5 * red + 5 * blue
    assert seen.frames[0][90:120] == 3 * red + 4 * white + 3 * blue


@pytest.mark.parametrize("pixels", [1, 2, 254, 255, 256, 3_800, 4_100, 20_000])
def test_a_gif_has_the_nearest_colours_of_every_pixel(pixels: int, tmp_path: Path) -> None:
    """Noise fills the table of codes at each length, and beyond the last."""
    frame = noise(pixels)

    gif.write(tmp_path / "a.gif", gif.Animation(pixels, 1, 0.1, (frame,)))

    seen = gif.read(tmp_path / "a.gif").frames[0]
    assert seen == bytes(51 * round(value / 51) for value in frame)


def test_a_gif_moves(tmp_path: Path) -> None:
    shot = film.draw(24, 18, 4, tint=10, per_second=10)
    frames = tuple(shot.rgb(number) for number in range(4))

    gif.write(tmp_path / "a.gif", gif.Animation(24, 18, 0.1, frames))

    seen = gif.read(tmp_path / "a.gif")
    assert (seen.width, seen.height, seen.delay_seconds, len(set(seen.frames))) == (24, 18, 0.1, 4)


def test_what_is_not_a_gif_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF87a" + bytes(20))

    with pytest.raises(ValueError, match="not a GIF"):
        gif.read(tmp_path / "a.gif")


def test_a_png_is_by_the_book(tmp_path: Path) -> None:
    png.write(tmp_path / "a.png", png.Picture(2, 2, PIXELS))

    data = (tmp_path / "a.png").read_bytes()
    packed = data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8]
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[8:33] == struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 2, 2, 8, 2, 0, 0, 0, zlib.crc32(data[12:29]))
    assert zlib.decompress(packed) == b"\x00" + PIXELS[:6] + b"\x00" + PIXELS[6:]
    assert png.read(tmp_path / "a.png") == png.Picture(2, 2, PIXELS)


@pytest.mark.parametrize("place", [12, 20, 50])
def test_a_png_with_a_flipped_bit_is_refused(place: int, tmp_path: Path) -> None:
    png.write(tmp_path / "a.png", png.Picture(20, 10, noise(200)))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[place] ^= 1
    (tmp_path / "a.png").write_bytes(data)

    with pytest.raises(ValueError, match=r"checksum|not whole"):
        png.read(tmp_path / "a.png")


def test_a_half_has_every_second_pixel_of_every_second_row() -> None:
    whole = png.Picture(3, 3, bytes(value for number in range(9) for value in (number, number, number)))

    assert whole.halved() == png.Picture(2, 2, bytes([0, 0, 0, 2, 2, 2, 6, 6, 6, 8, 8, 8]))


def test_sound_is_what_was_written(tmp_path: Path) -> None:
    heard = sound.Sound(8_000, (0, 1, -1, 32_767, -32_768, 1_000))

    sound.write(tmp_path / "a.wav", heard)

    assert sound.read(tmp_path / "a.wav") == heard


def test_a_wave_file_can_be_read_by_the_standard_library(tmp_path: Path) -> None:
    import wave

    sound.write(tmp_path / "a.wav", sound.Sound(8_000, (0, 1, -1)))

    with wave.open(str(tmp_path / "a.wav")) as seen:
        assert seen.getparams()[:4] == (1, 2, 8_000, 3)
        assert seen.readframes(3) == struct.pack("<3h", 0, 1, -1)


@pytest.mark.parametrize(  # from the table of ITU-T G.711 as in Sun's g711.c
    ("sample", "byte"),
    [(0, 0xFF), (8, 0xFE), (-8, 0x7E), (1_000, 0xCE), (-1_000, 0x4E), (32_767, 0x80), (-32_768, 0x00)],
)
def test_mu_law_is_that_of_g_711(sample: int, byte: int) -> None:
    assert sound.compressed(sample) == byte


def test_each_byte_of_mu_law_stands_for_a_sample_that_gives_it_again() -> None:
    again = [sound.compressed(sound.expanded(byte)) for byte in range(256)]

    assert [byte for byte in range(256) if again[byte] != byte] == [0x7F], "there are two zeros"


@pytest.mark.parametrize("form", [sound.PCM, sound.MU_LAW])
@pytest.mark.parametrize("text", ["", "a", "The hammer falls at dawn.", "Дюбель – ça va, 😀"])
def test_what_is_spoken_is_heard(text: str, form: int, tmp_path: Path) -> None:
    sound.write(tmp_path / "a.wav", sound.Sound(tones.PER_SECOND, tones.spoken(text), form))

    assert tones.heard(sound.read(tmp_path / "a.wav").samples) == text


def test_other_sounds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\x00\x00\x00\x00AVI ")

    with pytest.raises(ValueError, match="not a RIFF WAVE"):
        sound.read(tmp_path / "a.wav")


def test_a_file_that_is_not_what_the_film_was_is_noticed(tmp_path: Path) -> None:
    shot, other = film.draw(24, 18, 4, tint=0), film.draw(24, 18, 4, tint=90)
    frames = tuple(shot.rgb(number) for number in range(4))
    gif.write(tmp_path / "a.gif", gif.Animation(24, 18, 0.1, frames))
    png.write(tmp_path / "a.2.png", png.Picture(24, 18, frames[2]).halved())
    sound.write(tmp_path / "a.ulaw.wav", sound.Sound(8_000, tones.spoken("yes"), sound.MU_LAW))
    (tmp_path / "b.gif").write_bytes(b"GIF89a")

    def right(name: str, shot: film.Film, said: str) -> bool:
        return video.look(tmp_path / name, shot, said)[2]

    assert [right(name, shot, "yes") for name in ("a.gif", "a.2.png", "a.ulaw.wav", "b.gif")] == [True] * 3 + [False]
    assert [right(name, other, "no") for name in ("a.gif", "a.2.png", "a.ulaw.wav")] == [False] * 3
