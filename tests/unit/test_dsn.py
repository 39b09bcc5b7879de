"""Where the database's address comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgqueue import ConfigError
from pgqueue.dsn import LIBPQ_VARIABLES, redact, resolve

A, B, C = "postgresql://a/x", "host=b dbname=x", "postgres://c/x"


@pytest.mark.parametrize(
    ("explicit", "environ", "found"),
    [
        (A, {"PGQ_DSN": B, "DATABASE_URL": C, "PGHOST": "d"}, A),
        (None, {"PGQ_DSN": B, "DATABASE_URL": C, "PGHOST": "d"}, B),
        (None, {"DATABASE_URL": C, "PGHOST": "d"}, "postgresql://c/x"),
        (None, {"PGHOST": "d"}, ""),
        ("", {"PGQ_DSN": " ", "DATABASE_URL": B}, B),
        (None, {"DATABASE_URL": "postgresql+psycopg://u@h/d"}, "postgresql://u@h/d"),
        ("embedded:/srv/data", {}, "embedded:/srv/data"),
    ],
)
def test_the_most_explicit_source_wins(explicit: str | None, environ: dict[str, str], found: str) -> None:
    assert resolve(explicit, environ=environ) == found


@pytest.mark.parametrize("name", LIBPQ_VARIABLES)
def test_any_of_libpqs_variables_that_name_a_server_will_do(name: str) -> None:
    assert resolve(environ={name: "x"}) == ""


@pytest.mark.parametrize("environ", [{}, {"PGPASSWORD": "x"}, {"PGQ_DSN": ""}])
def test_without_any_the_message_says_what_to_set(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"no database is named: pass --dsn .*PGQ_DSN, DATABASE_URL .*PGHOST"):
        resolve(environ=environ)


def test_another_databases_address_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r'DATABASE_URL: "mysql://" is not PostgreSQL; set PGQ_DSN'):
        resolve(environ={"DATABASE_URL": "mysql://root:secret@h/d"})


def test_an_address_that_libpq_cannot_parse_is_refused_with_its_source() -> None:
    with pytest.raises(ConfigError, match=r'^PGQ_DSN: "nonsense" is not a DSN \(missing "="'):
        resolve(environ={"PGQ_DSN": "nonsense"})


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hunter2@h/d?bogus=1",
        "postgresql://u:hunt@hunter2@h/d?bogus=1",
        "host=h password=hunter2 bogus=1",
        "host=h password='a hunter2' bogus=1",
        "host=h password = hunter2 sslpassword=hunter2 bogus=1",
        "postgresql://h/d?password=hunter2&bogus=1",
        "postgresql://u:hunter2@[h/d",
        "postgresql://u:p%zzhunter2@h/d",
        "postgresql://u:hunter2@h:port:1/d?=",
        "host=h password='hunter2",
        "mysql://u:hunter2@h/d",
    ],
)
def test_no_message_shows_a_password(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(text)

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in redact(text)


@pytest.mark.parametrize(
    "text",
    ["u:hunter2@h/d", "host=h passwrd=hunter2", "host=h password=x hunter2", "//u:hunter2@h/d", "host=h pass:hunter2"],
)
def test_what_is_no_dsn_is_not_quoted_as_part_of_it_may_be_a_password(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(text)

    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_resolves_or_is_refused_as_configuration(text: str) -> None:
    try:
        said: object = resolve(text, environ={})
    except ConfigError as error:
        said = str(error)

    assert said != ""
