"""Builds wheels and puts each into an environment of its own: nothing is downloaded.

An environment has the wheel and, behind it, the packages of the interpreter that runs the tests.
"""

import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pgqueue.migrate.compatibility import parts
from pgqueue.version import VERSION
from tests.support.command import environment


@dataclass
class Release:
    """A version of pgqueue that is installed, and how to run it."""

    version: str
    python: Path
    variables: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, cwd: Path, log: Path) -> "subprocess.Popen[bytes]":
        with log.open("ab") as file:
            return subprocess.Popen(
                [self.python, *words],
                cwd=cwd,
                env=clean(**self.variables),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def pgq(self, *words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.python, "-m", "pgqueue.cli", *words],
            cwd=cwd,
            env=clean(**self.variables),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )


def previous(repository: Path) -> str | None:
    """Return the commit of the release before this version: by its tag, or where there are no tags by its message."""
    tags = {parts(tag.removeprefix("v")): tag for tag in _git(repository, "tag", "--list", "v[0-9]*").split()}
    if older := [tag for numbers, tag in sorted(tags.items()) if numbers < parts(VERSION)]:
        return older[-1]
    log = _git(repository, "log", "--format=%H %s")
    found = re.search(r"^(\w+) Release ([0-9.]+[0-9])\b", log, re.MULTILINE)
    return found[1] if found else None


def checkout(repository: Path, commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=repository, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def install(source: Path, folder: Path) -> Release:
    """Build the wheel of a checkout and make an environment with it."""
    out = folder / "dist"
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source]
    done = subprocess.run(build, capture_output=True, text=True, check=False, env=clean())
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    wheel = next(out.glob("*.whl"))
    place = folder / "environment"
    venv.create(place, with_pip=False)
    packages = next(place.glob("lib/python3*/site-packages"))
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "behind.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    python = place / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import pgqueue; print(pgqueue.__file__)"],
        cwd=folder, env=clean(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert Path(where.strip()).is_relative_to(packages), where
    return Release(wheel.name.split("-")[1], python)


def clean(**variables: str) -> dict[str, str]:
    """An environment in which no other pgqueue can be found."""
    return {name: value for name, value in environment(**variables).items() if not name.startswith("PYTHON")}


def _git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repository, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
