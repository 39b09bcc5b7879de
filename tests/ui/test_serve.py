"""`pgq ui`: where it refuses to listen, and the doors again through a real server."""

import http.client
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pgqueue.errors import ConfigError
from pgqueue.ui.serve import Service
from tests.support.command import PGQ, environment, pgq
from tests.ui.browser import served

REFUSED = {
    "all addresses without authentication": ({"listen": "0.0.0.0:0"}, "needs authentication"),
    "all of IPv6": ({"listen": "[::]:0"}, "needs authentication"),
    "a private address": ({"listen": "10.0.0.7:8490"}, "needs authentication"),
    "a name, whatever it means": ({"listen": "queue.example:8490"}, "needs authentication"),
    "no port": ({"listen": "127.0.0.1"}, "must be HOST:PORT"),
    "a header from anywhere": ({"listen": "127.0.0.1:0", "trust_header": "X-User", "grant": ["*=viewer"]}, "--trust-"),
    "a header without roles": ({"listen": "127.0.0.1:0", "trust_header": "X-User", "trust_proxy": ["::1"]}, "--grant"),
    "a proxy without a header": ({"listen": "127.0.0.1:0", "trust_proxy": ["::1"]}, "need --trust-header"),
    "no such role": ({"listen": "127.0.0.1:0", "role": "king"}, 'role "king"'),
    "a proxied address without names": (
        {"listen": "0.0.0.0:0", "trust_header": "X-User", "trust_proxy": ["::1"], "grant": ["*=viewer"]},
        "--allow-host",
    ),
    "all host names": ({"listen": "127.0.0.1:0", "allow_host": ["*"]}, "--allow-host"),
    "a password file that is missing": (
        {"listen": "127.0.0.1:0", "password_file": Path("/nowhere/users")},
        "pgq ui passwd",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_open_to_strangers_is_refused(name: str) -> None:
    options, said = REFUSED[name]

    with pytest.raises(ConfigError) as refused:
        Service.of(**options)  # type: ignore[arg-type]

    assert said in str(refused.value)


def test_on_loopback_it_needs_nothing_and_knows_its_names() -> None:
    service = Service.of(listen="localhost:0", allow_host=["queue.test"])

    assert (service.host, service.port) == ("127.0.0.1", 0)
    assert set(service.hosts) == {"localhost", "127.0.0.1", "[::1]", "queue.test"}


def test_a_file_without_users_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "users"
    empty.touch(0o600)

    with pytest.raises(ConfigError, match="has no user"):
        Service.of(listen="127.0.0.1:0", password_file=empty)


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "users"
    assert pgq("ui", "passwd", "ada", "--password-file", str(file), stdin="long enough\n").status == 0
    secret = tmp_path / "secret"
    secret.write_text("short")

    with pytest.raises(ConfigError, match="at least 32"):
        Service.of(listen="127.0.0.1:0", password_file=file, secret_file=secret)


def test_the_command_says_so_in_a_line_and_ends_with_2(dsn: str) -> None:
    done = pgq("ui", "--listen", "0.0.0.0:0", PGQ_DSN=dsn)

    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "needs authentication" in done.err


def test_a_database_without_the_schema_is_told_before_it_listens(empty_dsn: str) -> None:
    done = pgq("ui", "--listen", "127.0.0.1:0", PGQ_DSN=empty_dsn)

    assert done.status == 5
    assert "pgq migrate" in done.err


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["ada"], "short\n", "8 to 1024 characters"),
        (["a:b"], "long enough\n", "without a colon"),
        (["ada", "--role", "king"], "long enough\n", 'role "king"'),
    ],
)
def test_passwd_refuses(words: list[str], stdin: str, said: str, tmp_path: Path) -> None:
    done = pgq("ui", "passwd", *words, "--password-file", str(tmp_path / "users"), stdin=stdin)

    assert done.status == 2
    assert said in done.err
    assert not (tmp_path / "users").exists()


class Site:
    """A server on a port, spoken to by hand: each request says exactly what it says."""

    def __init__(self, base: str, log: Path) -> None:
        self.address = urlsplit(base)
        self.log = log

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection(str(self.address.hostname), self.address.port, timeout=10)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in ({"Host": self.address.netloc} | (headers or {})).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(None if body is None else body.encode())
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ui") / "users"
    assert (
        pgq("ui", "passwd", "ada", "--role", "admin", "--password-file", str(file), stdin="long enough\n").status == 0
    )
    return file


@pytest.fixture
def site(dsn: str, users: Path, tmp_path: Path) -> Iterator[Site]:
    log = tmp_path / "log"
    with served(dsn, log, "--password-file", str(users), "--mask", "*iban*") as base:
        yield Site(base, log)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.system
def test_the_doors_hold_through_a_real_server(site: Site) -> None:
    sign_in = "name=ada&password=long+enough"
    table = {
        "to the form": ("GET", "/", {}, None, 303),
        "no session": ("GET", "/audit", {}, None, 303),
        "a forged session": ("GET", "/audit", {"Cookie": "pgq_session=WyJhZGEiXQ.00"}, None, 303),
        "no session, a change": ("POST", "/actions/queues/pause", FORM | ORIGIN, "queue=mail", 401),
        "another host": ("GET", "/", {"Host": "evil.example"}, None, 421),
        "another port of ours": ("GET", "/login", {"Host": "127.0.0.1:1"}, None, 200),
        "cross-site sign-in": ("POST", "/login", FORM | {"Sec-Fetch-Site": "cross-site"}, sign_in, 403),
        "sign-in without any mark": ("POST", "/login", FORM, sign_in, 403),
        "JSON": ("POST", "/login", {"Content-Type": "application/json"} | ORIGIN, "{}", 415),
        "a header of no proxy": ("GET", "/audit", {"X-Forwarded-User": "ada", "X-Forwarded-For": "::1"}, None, 303),
        "a path upwards": ("GET", "/static/..%2f..%2fapp.py", {}, None, 404),
        "PUT": ("PUT", "/login", ORIGIN, "", 405),
        "signing in": ("POST", "/login", FORM | ORIGIN, sign_in, 303),
    }
    for name, (method, path, headers, body, wanted) in table.items():
        status, text = site.ask(method, path, headers, body)

        assert status in (wanted if isinstance(wanted, tuple) else (wanted,)), (name, status, text)
        assert "Traceback" not in text

    said = site.log.read_text()
    assert "signed in" in said
    assert "long enough" not in said
    assert "long+enough" not in said


@pytest.mark.system
def test_no_password_of_the_database_is_said(dsn: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    secret = f"{dsn} password=canary-7"

    with served(secret, log) as base:
        site = Site(base, log)
        pages = [site.ask("GET", path)[1] for path in ("/", "/audit", "/nothing")]

    assert not any("canary-7" in text for text in [*pages, log.read_text()])


@pytest.mark.system
def test_a_port_that_is_taken_is_told(dsn: str, site: Site) -> None:
    listen = f"127.0.0.1:{site.address.port}"

    done = subprocess.run(
        [*PGQ, "ui", "--listen", listen],
        env=environment(PGQ_DSN=dsn),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 2
    assert f'--listen "{listen}"' in done.stderr
