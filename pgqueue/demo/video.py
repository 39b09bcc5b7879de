"""Films that are uploaded: transcode, then thumbnails and a transcript side by side, then tell whoever waits for it.

A job for each part, and the four of a film are one flow: a job begins when those before it have succeeded, and finds
what they returned in `ctx.parents()`. The files are real ones, made on the spot.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

from pgqueue import dag
from pgqueue.demo.checks import Check
from pgqueue.demo.company import app, connections, folder
from pgqueue.demo.media import film, gif, png, sound, tones
from pgqueue.demo.stage import Chapter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from psycopg import Connection

    from pgqueue import Context
    from pgqueue.demo.stage import Stage

TABLES = """
-- What people are told. No unique key: whoever were told twice would show.
create table demo.notices (film text not null, transcript text not null, thumbnails integer not null);
"""


def upload(conn: Connection[Any], name: str) -> int:
    """Enqueue all that becomes of a film, in the transaction of `conn`; returns the number of the flow."""
    flow = dag(name=name)
    transcoded = flow.add(transcode.job(name))
    thumbnails = flow.add(draw_thumbnails.job(name), after=[transcoded])
    transcript = flow.add(transcribe.job(name), after=[transcoded])
    flow.add(notify.job(name), after=[thumbnails, transcript])
    return flow.enqueue(conn=conn).id


@app.task(queue="video", cpu=True)
def transcode(name: str) -> dict[str, str]:
    """Make the film an animated GIF and its sound mu-law; returns the names of the files. It runs in a process."""
    home = folder("video")
    shot = film.read(home / f"{name}.y4m")
    frames = tuple(map(shot.rgb, range(len(shot.frames))))
    picture, voice = home / f"{name}.gif", home / f"{name}.ulaw.wav"
    gif.write(picture, gif.Animation(shot.width, shot.height, 1 / shot.per_second, frames))
    spoken = sound.read(home / f"{name}.wav")
    sound.write(voice, sound.Sound(spoken.per_second, spoken.samples, sound.MU_LAW))
    return {"picture": picture.name, "voice": voice.name}


@app.task(queue="video")
def draw_thumbnails(ctx: Context, name: str) -> list[str]:
    """Make a PNG, half as large, of the frames at a quarter, the half and three quarters of the film."""
    home = folder("video")
    moving = gif.read(home / ctx.parents()[0].result["picture"])
    made = []
    for number in stills(len(moving.frames)):
        file = home / f"{name}.{number}.png"
        png.write(file, png.Picture(moving.width, moving.height, moving.frames[number]).halved())
        made.append(file.name)
    return made


@app.task(queue="video")
def transcribe(ctx: Context, name: str) -> str:  # noqa: ARG001 - says in the history which film it was
    """Listen to the sound and write down what is said."""
    return tones.heard(sound.read(folder("video") / ctx.parents()[0].result["voice"]).samples)


@app.task(queue="video")
async def notify(ctx: Context, name: str) -> None:
    """Tell people that the film is ready, and end the job in the same transaction: they are told once."""
    done = {parent.task: parent.result for parent in await ctx.parents()}
    await connections().open()
    async with connections().connection() as conn:
        await conn.execute(
            "insert into demo.notices values (%s, %s, %s)",
            [name, done[transcribe.name], len(done[draw_thumbnails.name])],
        )
        await ctx.complete(conn)


def stills(frames: int) -> list[int]:
    """Which frames become thumbnails."""
    return [frames * quarter // 4 for quarter in (1, 2, 3)]


# The chapter.

FILMS = {
    "harbour": "The ship leaves at dawn.",
    "workshop": "Измерь дважды, pass auf, and cut once!",
    "kitchen": "Crème brûlée: twelve minutes, 150 °C.",
}
WIDTH, HEIGHT, FRAMES = 96, 72, 24
NEAR = gif.STEP // 2 + 1  # what the nearest colour of the palette may differ

WITNESSES = """
create table demo.films (film text primary key, flow_id bigint not null, said text not null);
-- What a reader found in the files that were made, one row each.
create table demo.media (
  film text not null, file text not null, kind text not null, found text not null, faithful boolean not null);
"""

CHECKS = (
    Check(
        "Each film became a GIF with its frames, mu-law sound, and three PNG thumbnails; read again, all are right",
        """
        select count(m.file) > 0 and bool_and(m.faithful) and count(m.file) = 5 * count(distinct f.film),
               format('%s films, %s files: %s', count(distinct f.film), count(m.file),
                      string_agg(m.file || ' ' || m.found, ', ' order by m.file)
                        filter (where f.film = 'harbour' or not m.faithful))
        from demo.films f left join demo.media m using (film)""",
    ),
    Check(
        "Each transcript is what was said, and people were told once, when all was ready",
        """
        select count(*) > 0 and bool_and(coalesce(n.times = 1 and n.heard = f.said and n.thumbnails = 3, false)),
               string_agg(format('%s: "%s"', f.film, n.heard), ', ' order by f.film)
        from demo.films f
        left join (select film, count(*) as times, min(transcript) as heard, min(thumbnails) as thumbnails
                   from demo.notices group by film) n using (film)""",
    ),
    Check(
        "No part of a film was begun before what it needs had ended",
        """
        select count(*) > 0 and bool_and(child.started_at >= parent.finished_at),
               format('%s times one came after another, %s times too early; both in the middle began within %s ms',
                      count(*), count(*) filter (where child.started_at < parent.finished_at),
                      (select round(max(1000 * abs(extract(epoch from a.started_at - b.started_at))))
                       from pgqueue.jobs a join pgqueue.jobs b on b.args ->> 'name' = a.args ->> 'name'
                       where a.task like '%draw_thumbnails' and b.task like '%transcribe'))
        from demo.films f
        join pgqueue.flow_jobs edge on edge.flow_id = f.flow_id
        cross join unnest(edge.after) before
        join pgqueue.jobs child on child.id = edge.id
        join pgqueue.jobs parent on parent.id = before""",
    ),
)


_PROGRESS = """
select sum(f.total)::bigint, sum(f.succeeded + f.failed + f.cancelled + f.skipped)::bigint
from pgqueue.flows f join demo.films v on v.flow_id = f.id"""


class Videos(Chapter):
    """Makes films, uploads them, and looks into the files that come of them."""

    tables = (TABLES, WITNESSES)
    checks = CHECKS

    def __init__(self, stage: Stage) -> None:
        """Choose a folder."""
        super().__init__(stage)
        self._home = stage.folder / "video"

    def open(self, servers: ExitStack) -> Mapping[str, str]:
        """Make the films."""
        self._home.mkdir()
        for place, (name, said) in enumerate(FILMS.items()):
            film.write(self._home / f"{name}.y4m", film.draw(WIDTH, HEIGHT, FRAMES, tint=20 * place - 20))
            sound.write(self._home / f"{name}.wav", sound.Sound(tones.PER_SECOND, tones.spoken(said)))
        return super().open(servers)

    def begin(self) -> None:
        """Upload them, each in a transaction with the row that tells of it."""
        for name, said in FILMS.items():
            with self.stage.conn.transaction():
                flow = upload(self.stage.conn, name)
                self.stage.conn.execute("insert into demo.films values (%s, %s, %s)", [name, flow, said])
        self.stage.show.say(
            f"video: {len(FILMS)} films with sound: transcode, then thumbnails and transcript, then notify"
        )

    def go_on(self) -> bool:
        """Look how many parts are done."""
        total, ended = self.stage.ask(_PROGRESS)
        self.stage.show.bar("parts of films", ended, total)
        return bool(ended < total)

    def testify(self) -> None:
        """Read every file that was made."""
        rows = []
        for name, said in FILMS.items():
            shot = film.read(self._home / f"{name}.y4m")
            made = sorted({*self._home.glob(f"{name}.*")} - {self._home / f"{name}.y4m", self._home / f"{name}.wav"})
            rows += [[name, file.name, *look(file, shot, said)] for file in made]
        self.stage.put("insert into demo.media values (%s, %s, %s, %s, %s)", rows)


def look(file: Path, shot: film.Film, said: str) -> tuple[str, str, bool]:
    """Read a file as a stranger would: its kind, what was found, and whether that is what the film was."""
    readers = {".gif": _look_at_gif, ".png": _look_at_png}
    try:
        if file.suffix in readers:
            return readers[file.suffix](file, shot)
        voice = sound.read(file)
        faithful = voice.form == sound.MU_LAW and tones.heard(voice.samples) == said
        return "WAVE", f"has {len(voice.samples) / voice.per_second:.2f} s of sound", faithful
    except (ValueError, LookupError, struct.error, zlib.error) as error:
        return file.suffix, f"cannot be read: {error}", False


def _look_at_gif(file: Path, shot: film.Film) -> tuple[str, str, bool]:
    moving = gif.read(file)
    frames = [shot.rgb(number) for number in range(len(shot.frames))]
    same_size = (moving.width, moving.height, len(moving.frames)) == (shot.width, shot.height, len(frames))
    faithful = same_size and all(map(_alike, moving.frames, frames))
    return "GIF", f"has {len(moving.frames)} frames of {moving.width} x {moving.height}", faithful


def _look_at_png(file: Path, shot: film.Film) -> tuple[str, str, bool]:
    still, number = png.read(file), int(file.suffixes[-2][1:])
    whole = png.Picture(shot.width, shot.height, shot.rgb(number)).halved()
    same_size = (still.width, still.height) == (whole.width, whole.height)
    faithful = same_size and number in stills(len(shot.frames)) and _alike(still.pixels, whole.pixels)
    return "PNG", f"is frame {number} at {still.width} x {still.height}", faithful


def _alike(one: bytes, other: bytes) -> bool:
    return len(one) == len(other) and all(abs(a - b) <= NEAR for a, b in set(zip(one, other, strict=True)))
