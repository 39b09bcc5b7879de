"""A copy of the migrations in which a test may add revisions of its own."""

import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pgqueue.migrate import apply, revisions

NewRevision = Callable[..., str]


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that `pgq migrate` of this process reads from now on."""
    folder = tmp_path / "migrations"
    shutil.copytree(revisions.directory(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    for module in (revisions, apply):
        monkeypatch.setattr(module, "directory", lambda: folder)
    return folder


@pytest.fixture
def new_revision(migrations: Path) -> NewRevision:
    """Add a revision after the newest: its SQL, how to take it back, and what it says about itself."""

    def add(up: str, down: str = "", **says: object) -> str:
        before = revisions.known()[-1]
        name = f"{int(before[:4]) + 1:04}_throw_away"
        lines = "".join(f"{key} = {value!r}\n" for key, value in says.items())
        opening = '"""Thrown away."""\n\nfrom pgqueue.migrate import frozen\n\n'
        module = f'{opening}revision = "{name}"\ndown_revision = "{before}"\n'
        versions = migrations / "versions"
        (versions / f"{name}.py").write_text(f"{module}{lines}\nupgrade, downgrade = frozen(__file__)\n")
        (versions / f"{name}.up.sql").write_text(textwrap.dedent(up))
        (versions / f"{name}.down.sql").write_text(textwrap.dedent(down))
        return name

    return add
