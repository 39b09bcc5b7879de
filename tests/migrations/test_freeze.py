"""Freezing takes what changed since the last revision, and can take it back."""

from pathlib import Path

import pytest

from migrations import freeze

ONE = "-- it's one; $$ in a comment\ncreate function pgqueue.one(a int) returns int language sql return a;\n"
TWO = "create view pgqueue.two as select pgqueue.one(1) as x, 'create table pgqueue.not_me ()' as y;\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "versions").mkdir()
    (tmp_path / "functions").mkdir()
    _write(tmp_path, "versions/0001_first.tables.sql", "create table pgqueue.a (b int);\ncreate sequence pgqueue.s;\n")
    _write(tmp_path, "functions/10_one.sql", ONE)
    _write(tmp_path, "functions/20_two.sql", TWO)
    freeze.freeze("0001_first", tmp_path)
    return tmp_path


def test_the_first_revision_holds_all_and_drops_it_backwards(root: Path) -> None:
    up, down = _frozen(root, "0001_first")

    assert [up.index(part) for part in ("pgqueue.a ", ONE, TWO)] == sorted(
        up.index(part) for part in ("pgqueue.a ", ONE, TWO)
    )
    assert down.splitlines()[1:] == [
        "drop view pgqueue.two;",
        "drop function pgqueue.one;",
        "drop sequence if exists pgqueue.s;",
        "drop table pgqueue.a;",
    ]


def test_a_later_revision_holds_what_changed_and_brings_the_old_text_back(root: Path) -> None:
    _write(root, "functions/10_one.sql", ONE.replace("return a", "return a + 1"))

    freeze.freeze("0002_second", root)

    up, down = _frozen(root, "0002_second")
    assert "create or replace function pgqueue.one(a int) returns int language sql return a + 1;" in up
    assert "create or replace function pgqueue.one(a int) returns int language sql return a;" in down
    assert "drop" not in up + down
    assert "pgqueue.two" not in up + down


def test_a_function_with_new_arguments_is_dropped_first(root: Path) -> None:
    _write(root, "functions/10_one.sql", ONE.replace("a int", "a bigint"))

    freeze.freeze("0002_second", root)

    up, down = _frozen(root, "0002_second")
    assert up.index("drop function pgqueue.one;") < up.index("pgqueue.one(a bigint)")
    assert down.index("drop function pgqueue.one;") < down.index("pgqueue.one(a int)")


def test_what_was_dropped_and_made_again_is_not_new_in_the_next_revision(root: Path) -> None:
    _write(root, "functions/10_one.sql", ONE.replace("a int", "a bigint"))

    freeze.freeze("0002_second", root)
    freeze.freeze("0003_third", root)

    assert "pgqueue.one" not in "".join(_frozen(root, "0003_third"))


def test_a_view_with_more_columns_is_replaced_and_keeps_its_grants(root: Path) -> None:
    _write(root, "functions/20_two.sql", TWO.replace(" as y", " as y, 1 as z"))

    freeze.freeze("0002_second", root)

    up, down = _frozen(root, "0002_second")
    assert "create or replace view pgqueue.two" in up
    assert "drop view" not in up
    assert "drop view pgqueue.two;" in down


def test_functions_come_and_go(root: Path) -> None:
    (root / "functions/20_two.sql").unlink()
    _write(root, "functions/30_three.sql", "create function pgqueue.three() returns int language sql return 3;\n")

    freeze.freeze("0002_second", root)
    freeze.freeze("0003_third", root)

    up, down = _frozen(root, "0002_second")
    assert "drop view pgqueue.two;" in up
    assert "create function pgqueue.three()" in up
    assert "drop function pgqueue.three;" in down
    assert "view pgqueue.two as" in down
    assert sorted(freeze.frozen_functions(root)) == ["10_one.sql", "30_three.sql"]
    assert "pgqueue." not in "".join(_frozen(root, "0003_third"))


def test_privileges_are_given_again_with_each_change(root: Path) -> None:
    privileges = "revoke execute on all functions in schema pgqueue from public;"
    _write(root, "functions/90_privileges.sql", privileges)
    freeze.freeze("0001_first", root)
    _write(root, "functions/30_three.sql", "create function pgqueue.three() returns int language sql return 3;\n")

    freeze.freeze("0002_second", root)
    freeze.freeze("0003_third", root)

    assert privileges in _frozen(root, "0002_second")[0]
    assert privileges not in _frozen(root, "0003_third")[0]


def test_only_the_newest_revision_can_be_frozen(root: Path) -> None:
    freeze.freeze("0002_second", root)

    with pytest.raises(freeze.FreezeError, match="not the newest"):
        freeze.freeze("0001_first", root)


def test_a_name_has_one_form(root: Path) -> None:
    _write(root, "functions/40_one_again.sql", ONE)

    with pytest.raises(freeze.FreezeError, match=r"pgqueue\.one: created twice"):
        freeze.freeze("0001_first", root)


def test_the_noise_of_pg_dump_is_not_part_of_the_dump() -> None:
    noise = "-- Dumped by 18\n\\restrict abc\nSET x = 1;\nSELECT pg_catalog.set_config('search_path', '', false);\n\n"
    text = f"{noise}CREATE TABLE a (\n);\n\\unrestrict abc\n"

    assert freeze.normalised(text) == "CREATE TABLE a (\n);\n"


def _write(root: Path, file: str, text: str) -> None:
    (root / file).write_text(text, encoding="utf-8")


def _frozen(root: Path, revision: str) -> tuple[str, str]:
    up, down = ((root / "versions" / f"{revision}.{part}.sql").read_text(encoding="utf-8") for part in ("up", "down"))
    return up, down
