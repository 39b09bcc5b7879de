"""Media files, read and written by the book with the standard library alone: Y4M, GIF, PNG, WAV, and speech in tones.

    film.py     uncompressed video: YUV4MPEG2, 4:4:4
    gif.py      animated GIF 89a
    png.py      PNG, 8-bit RGB
    sound.py    RIFF WAVE, 16-bit PCM and mu-law
    tones.py    text as tones, and back

Each has a writer, and a reader that refuses what it does not know.
"""
