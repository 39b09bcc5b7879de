"""What the rules of masking hide, and that they take their time only."""

import time

import pytest

from pgqueue.errors import ConfigError
from pgqueue.masking import Masking


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("password=hunter2 user=ann", "password=*** user=ann"),
        ("db_password: hunter2, user: ann", "db_password: ***, user: ann"),
        ('{"password": "hunter 2", "user": "ann"}', '{"password": ***, "user": "ann"}'),
        ("GET /?token=hunter2&page=3", "GET /?token=***&page=3"),
        ("api_key=hunter2; x=1", "api_key=***; x=1"),
        ("secret_key_base = hunter2", "secret_key_base = ***"),
        ("Authorization: Bearer hunter2.x-y", "Authorization: ***"),
        ("{'authorization': 'Basic hunter2=='}", "{'authorization': '***'}"),
        ("sent with bearer hunter2hunter2", "sent with bearer ***"),
        ("postgresql://ann:hunter2@db/shop", "postgresql://ann:***@db/shop"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln ok", "jwt *** ok"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
        ),
        ("Cookie: sid=hunter2", "Cookie: ***"),
        ("order 7 was paid with 2 tokens", "order 7 was paid with 2 tokens"),
    ],
)
def test_secrets_are_hidden_and_the_rest_is_read(said: str, read: str) -> None:
    assert Masking().text(said) == read


def test_rules_are_added_and_hide_their_group_or_all_of_the_match() -> None:
    masking = Masking(())

    masking.add(r"iban=(?P<value>\w+)", r"\d{16}")

    assert masking.text("iban=DE123 card 1234123412341234") == "iban=*** card ***"


def test_a_field_whose_name_is_secret_is_hidden_whatever_it_holds() -> None:
    shown = Masking().fields({"api_token": 12345, "page": 3, "url": "x://a:b@c", "none": None})

    assert shown == {"api_token": "***", "page": 3, "url": "x://a:***@c", "none": None}


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no regular expression"):
        Masking().add("(")


@pytest.mark.parametrize(
    "piece", ["password", "-eyJ", "a-", "token ", "://a", "authorization ", "bearer ", "-----BEGIN PRIVATE KEY-----"]
)
def test_no_text_keeps_the_rules_busy(piece: str) -> None:
    text = piece * (20_000 // len(piece))
    began = time.process_time()

    Masking().text(text)

    assert time.process_time() - began < 2  # quadratic rules took minutes
