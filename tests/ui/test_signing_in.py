"""The password file, the form and the session cookie: who gets in by them, and who does not."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from pgqueue.errors import ConfigError
from pgqueue.ui import Dashboard, passwords
from pgqueue.ui.entrance import PasswordEntrance
from pgqueue.ui.passwords import Account, PasswordFile, hashed
from pgqueue.ui.sessions import COOKIE, FREE_TRIES, LIFE_SECONDS, LONGEST_WAIT_SECONDS, Sessions, Tries
from pgqueue.ui.visitor import Role
from tests.ui.conftest import HOST, Browse

PASSWORD = "correct horse battery"


class Clock:
    """A time that tests turn."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A dashboard with a password file."""

    def __init__(self, browse: Browse, dashboards: Callable[..., Dashboard], file: PasswordFile) -> None:
        self.clock = Clock()
        self.file = file
        self.entrance = PasswordEntrance(file, Sessions("s" * 40, clock=self.clock))
        self.entrance.tries = Tries(clock=self.clock)
        self.dashboard = dashboards(entrance=self.entrance)
        self.client: httpx.AsyncClient = browse(dashboard=self.dashboard)

    async def sign_in(self, name: str = "ada", password: str = PASSWORD, **fields: str) -> httpx.Response:
        return await self.client.post("/login", data={"name": name, "password": password, **fields})

    async def is_in(self) -> bool:
        return (await self.client.get("/audit")).status_code == 200

    def wear(self, cookie: str) -> None:
        self.client.cookies.clear()
        self.client.headers["cookie"] = f"{COOKIE}={cookie}"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", 16)
    monkeypatch.setattr(passwords, "LANES", 1)


@pytest.fixture
def place(browse: Browse, dashboards: Callable[..., Dashboard], tmp_path: Path) -> Place:
    file = PasswordFile(tmp_path / "users")
    file.put(Account("ada", Role.ADMIN, hashed(PASSWORD)))
    file.put(Account("vera", Role.VIEWER, hashed(PASSWORD)))
    return Place(browse, dashboards, file)


async def test_a_stranger_is_sent_to_the_form_and_from_there_back(place: Place) -> None:
    sent = await place.client.get("/audit?actor=bob")
    form = await place.client.get(sent.headers["location"])
    answer = await place.sign_in(to="/audit?actor=bob")

    assert sent.status_code == 303
    assert 'value="/audit?actor=bob"' in form.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit?actor=bob")
    assert await place.is_in()


async def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(place: Place, browse: Browse) -> None:
    plain = (await place.sign_in()).headers["set-cookie"]
    tls = browse(dashboard=place.dashboard, headers={"origin": f"https://{HOST}"})
    tls.base_url = httpx.URL(f"https://{HOST}")
    secure = (await tls.post("/login", data={"name": "ada", "password": PASSWORD})).headers["set-cookie"]

    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={LIFE_SECONDS}"} <= set(plain.split("; "))
    assert "Secure" not in plain
    assert "Secure" in secure.split("; ")


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("", ""), ("ada", "x" * 5000)])
async def test_a_wrong_name_or_password_is_told_alike(name: str, password: str, place: Place) -> None:
    answer = await place.sign_in(name, password)

    assert answer.status_code == 401
    assert "Name or password is wrong." in answer.text
    assert re.search(r'name="(\w+)"[^>]* autofocus', answer.text)[1] == ("password" if name else "name")  # type: ignore[index]
    assert "set-cookie" not in answer.headers


async def test_who_guesses_has_to_wait_ever_longer(place: Place) -> None:
    for _ in range(FREE_TRIES):
        assert (await place.sign_in(password="wrong")).status_code == 401

    refused = await place.sign_in()

    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    place.clock.now += 2
    assert (await place.sign_in(password="wrong")).status_code == 401
    place.clock.now += 1.5
    assert (await place.sign_in()).status_code == 429
    place.clock.now += LONGEST_WAIT_SECONDS
    assert (await place.sign_in()).status_code == 303


async def test_one_address_cannot_try_many_names(place: Place) -> None:
    for number in range(FREE_TRIES):
        await place.sign_in(f"user-{number}", "wrong")

    assert (await place.sign_in("yet-another", "wrong")).status_code == 429


async def test_sessions_that_are_none(place: Place) -> None:
    account = place.file.accounts()["ada"]
    good = place.entrance.sessions.issue(account)
    body, signature = good.split(".")
    other = Sessions("another secret that is long enough").issue(account)
    forged = {
        "none": "",
        "unsigned": body,
        "signature of another": f"{body}.{signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        "body of another": f"{body[:-2]}xx.{signature}",
        "another secret": other,
        "huge": "x" * 5000,
        "no base64": f"!!!.{signature}",
    }
    for name, cookie in forged.items():
        place.wear(cookie)
        assert not await place.is_in(), name

    place.wear(good)
    assert await place.is_in()


async def test_a_session_ends_after_its_time(place: Place) -> None:
    await place.sign_in()
    place.clock.now += LIFE_SECONDS - 1
    assert await place.is_in()

    place.clock.now += 2

    assert not await place.is_in()


async def test_a_session_ends_with_the_password_and_with_the_account(place: Place) -> None:
    await place.sign_in()
    place.file.put(Account("ada", Role.ADMIN, hashed("another password")))
    assert not await place.is_in()
    await place.sign_in(password="another password")
    assert await place.is_in()

    place.file.path.write_text("# nobody is left\n")

    assert not await place.is_in()


async def test_a_role_holds_at_once(place: Place) -> None:
    await place.sign_in("vera")
    before = (await place.client.get("/")).text
    place.file.put(Account("vera", Role.OPERATOR, place.file.accounts()["vera"].hash))

    after = (await place.client.get("/")).text

    assert "<small>viewer</small>" in before
    assert "<small>operator</small>" in after


@pytest.mark.parametrize(
    "to", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "\t//evil.example"]
)
async def test_nobody_is_sent_elsewhere_after_signing_in(to: str, place: Place) -> None:
    answer = await place.sign_in(to=to)

    assert answer.headers["location"] == "/"


async def test_signing_out_takes_the_cookie_away(place: Place) -> None:
    await place.sign_in()

    await place.client.post("/logout", data={"": ""})

    assert not await place.is_in()


async def test_a_copy_of_the_cookie_ends_with_signing_out(place: Place) -> None:
    await place.sign_in()
    copy = place.client.cookies[COOKIE]
    await place.client.post("/logout", data={"": ""})

    place.wear(copy)

    assert not await place.is_in()


async def test_no_password_gets_into_a_log(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    await place.sign_in(password="wrong-canary")
    await place.sign_in(password=f"{PASSWORD}-canary")

    told = [
        f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record.name.startswith("pgqueue")
    ]
    assert any("sign-in refused" in line for line in told)
    assert not any("canary" in line for line in told)


def test_hashes_are_salted_and_fit_their_password_alone() -> None:
    one, two = hashed(PASSWORD), hashed(PASSWORD)

    assert one != two
    assert passwords.matches(PASSWORD, one)
    assert not passwords.matches(PASSWORD + "x", one)
    assert PASSWORD not in one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ada:admin", "line 1: must be name:role:hash"),
        ("\nada:admin:plain", "line 2: must be name:role:hash"),
        ("ada:king:scrypt$1$2$3$4$5", 'role "king"'),
    ],
)
def test_a_malformed_file_is_told_by_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(ConfigError, match=said):
        PasswordFile(path).accounts()


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "users")
    file.put(Account("ada", Role.ADMIN, hashed(PASSWORD)))
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.path.chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        file.accounts()


def test_what_is_remembered_of_guesses_is_bounded() -> None:
    tries = Tries()
    for number in range(6000):
        tries.failed(f"name {number}")

    assert len(tries._failed) <= 4096
