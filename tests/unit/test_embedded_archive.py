"""An archive of programs is unpacked into its folder and nowhere else, with and without tarfile's own filter."""

import copy
import io
import sys
import tarfile
from pathlib import Path

import pytest

from pgqueue.embedded import archive, binaries
from pgqueue.errors import ConfigError


# Every Python from 3.12 on has filters, and warns or fails without one.
@pytest.fixture(params=["filter", "no filter"] if sys.version_info < (3, 12) else ["filter"], autouse=True)
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This Python, and one like Debian 12's, whose tarfile has no filter."""
    if request.param == "no filter":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


def member(name: str, kind: bytes = tarfile.REGTYPE, *, to: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, to, mode
    made.size = 4 if kind == tarfile.REGTYPE else 0
    return made


def placed(given: tarfile.TarInfo, outer: Path) -> tarfile.TarInfo:
    made = copy.copy(given)
    made.name = given.name.replace("/OUTER", str(outer))
    made.linkname = given.linkname.replace("/OUTER", str(outer))
    return made


def packed(folder: Path, *members: tarfile.TarInfo) -> Path:
    made = folder / "postgresql-18.tar.gz"
    with tarfile.open(made, "w:gz") as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(b"text"[: each.size]))
    return made


# /OUTER becomes a folder of the test: were one of these let through, root runs it, and no file of the machine is hit.
HOSTILE = {
    "an absolute path": [member("/OUTER/file")],
    "a path upwards": [member("../outside")],
    "a path upwards on its way": [member("pg/../../outside")],
    "a symbolic link to an absolute path": [member("pg/link", tarfile.SYMTYPE, to="/OUTER")],
    "a symbolic link upwards": [member("pg/link", tarfile.SYMTYPE, to="../../outside")],
    "a hard link to an absolute path": [member("pg/link", tarfile.LNKTYPE, to="/OUTER/victim")],
    "a hard link upwards": [member("pg/link", tarfile.LNKTYPE, to="../outside")],
    "a hard link to a link": [member("a", tarfile.SYMTYPE, to="b"), member("c", tarfile.LNKTYPE, to="a")],
    "a file through a link": [member("pg", tarfile.SYMTYPE, to="."), member("pg/file")],
    "a link through a link": [
        member("a/b", tarfile.DIRTYPE),
        member("a/c", tarfile.SYMTYPE, to="../a"),
        member("d", tarfile.SYMTYPE, to="a/c/../../outside"),
    ],
    "a file over a link": [member("pg/file", tarfile.SYMTYPE, to="other"), member("pg/file")],
    "a character device": [member("pg/null", tarfile.CHRTYPE)],
    "a block device": [member("pg/disk", tarfile.BLKTYPE)],
    "a pipe": [member("pg/pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused_before_anything_is_written(
    tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    outer = tmp_path / "outer"
    inside = outer / "inside"
    inside.mkdir(parents=True)
    (outer / "victim").touch()
    made = [placed(each, outer) for each in members]

    with pytest.raises(tarfile.TarError):
        archive.unpack(packed(tmp_path, member("good"), *made), inside)

    assert sorted(outer.rglob("*")) == [inside, outer / "victim"]


def test_programs_and_libraries_arrive_with_tame_modes(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    made = packed(
        tmp_path,
        member("./pg/", tarfile.DIRTYPE, mode=0o1777),
        member("./pg/bin/postgres", mode=0o6777),
        member("./pg/share/conf", mode=0o444),
        member("./pg/lib/libpq.so.5.18"),
        member("./pg/lib/libpq.so.5", tarfile.SYMTYPE, to="libpq.so.5.18"),
        member("./pg/lib/libpq.so", tarfile.SYMTYPE, to="../lib/libpq.so.5"),
        member("./pg/bin/postmaster", tarfile.LNKTYPE, to="./pg/bin/postgres"),
    )

    archive.unpack(made, inside)

    pg = inside / "pg"
    assert pg.stat().st_mode & 0o7022 == 0
    assert (pg / "bin/postgres").stat().st_mode & 0o7777 == 0o755
    assert (pg / "share/conf").stat().st_mode & 0o7777 == 0o644
    assert (pg / "lib/libpq.so").read_text() == "text"
    assert (pg / "bin/postmaster").samefile(pg / "bin/postgres")


def test_whoever_starts_a_server_reads_one_line_about_a_hostile_archive(tmp_path: Path) -> None:
    made = packed(tmp_path, member("../outside"))

    with pytest.raises(ConfigError, match=r"postgresql-18\.tar\.gz: not unpacked .*leads out of the archive") as raised:
        binaries._unpack(made, "postgresql-18")

    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == [made]
