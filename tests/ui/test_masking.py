"""Secrets are hidden by the names that they have, in values and in running text."""

import pytest

from pgqueue.ui.masking import HIDDEN, Masks

SECRET = "s3cr3t-canary"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "PASSWORD_HASH",
        "apiToken",
        "X-Api-Key",
        "client_secret",
        "Authorization",
        "set-cookie",
        "pin",
    ],
)
def test_values_of_such_names_are_hidden_however_deep(name: str) -> None:
    shown = Masks().value({"a": [{"b": {name: {"even": SECRET}}}], name: SECRET, "plain": "seen"})

    assert SECRET not in str(shown)
    assert shown["plain"] == "seen"


def test_names_that_only_look_alike_are_shown() -> None:
    value = {"spinach": 1, "passage": 2, "keyboard": 3, "opinion": 4}

    assert Masks().value(value) == value


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"db_password: {SECRET}, host: x",
        f'{{"api_token": "{SECRET}", "a": 1}}',
        f"Authorization: Bearer {SECRET}",
        f"connecting to postgresql://ada:{SECRET}@db/x failed",
        f"GET /?access_token={SECRET}&page=1",
        f"secret='{SECRET} with spaces'",
        f'{{\\"password\\": \\"{SECRET}\\"}}',
        f"settings.db.password = {SECRET}",
        f"card.pin={SECRET}",
    ],
)
def test_secrets_in_texts_are_hidden(text: str) -> None:
    shown = Masks().text(text)

    assert SECRET not in shown
    assert HIDDEN in shown


def test_other_texts_stay_as_they_are() -> None:
    text = "KeyError: 'user' in send_mail(to=ada@example.com)\n  line 3"

    assert Masks().text(text) == text


def test_rules_can_be_added_and_taken_away() -> None:
    assert Masks(["*iban*"]).value({"IBAN_de": "x", "password": "y"}) == {"IBAN_de": HIDDEN, "password": "y"}
    assert Masks([]).value({"password": "y"}) == {"password": "y"}


def test_what_is_nested_too_deep_is_hidden() -> None:
    value: object = SECRET
    for _ in range(500):
        value = [value]

    assert SECRET not in str(Masks().value(value))


def test_a_long_text_is_masked_in_linear_time() -> None:
    for text in (
        "token" * 100_000,
        "a=" * 200_000 + "secret",
        "://a:" * 100_000,
        "password" + " " * 400_000,
        "a.=" * 99_999,
    ):
        Masks().text(text)
