"""What an attacker tried: secrets through other pages, forms that lie about what was counted, proxies and hosts that
are not what they say, slow connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pgqueue.ui import Dashboard, patience
from pgqueue.ui.entrance import HeaderEntrance, PasswordEntrance, Proxies
from pgqueue.ui.passwords import Account, PasswordFile, hashed
from pgqueue.ui.sessions import COOKIE, Sessions
from pgqueue.ui.visitor import Role
from pgqueue.version import VERSION
from tests.sql.engine import Worker, column, enqueue
from tests.ui.conftest import FROM_OUR_PAGE, HOST, Browse
from tests.ui.routes import address
from tests.ui.test_actions import audit, die, fields

HOSTILE_VALUES = ("-1", "9" * 30, "\\'%", "{}", "null", "\u0661\U0001f600", "a" * 513)
_FILTERS = ("queue", "task", "key", "group", "error", "args", "meta", "since", "until")
PARAMETERS = {
    "/": ("span",),
    "/jobs": (*_FILTERS, "older", "newer", "id", "state"),
    "/dead": (*_FILTERS, "older", "newer"),
    "/dead/redrive": _FILTERS,
    "/flows": ("state", "name", "older", "newer"),
    "/flows/{id}": ("place",),
    "/schedules": ("after",),
    "/limits": ("name", "key"),
    "/limits/{name:path}": ("key",),
    "/audit": ("before", "actor", "action"),
}


# --- what a viewer learns ---


@pytest.mark.parametrize("page", ["/jobs/{}", "/jobs"])
async def test_a_viewer_does_not_learn_what_a_retry_failed_of(page: str, conn: Any, browse: Browse) -> None:
    job = enqueue(conn, "t", queue="q")
    worker = Worker(conn, queues=["q"], tasks=["t"])
    (lease,) = worker.step(queue="q").leases
    error = {"type": "CanaryError", "message": "canary"}
    worker.step(0, queue="q", outcomes=[lease.outcome("failed", error=error, delay=3600)])

    seen = (await browse("vera", "viewer").get(page.format(job))).text

    assert "anary" not in seen
    assert "{}" not in page or "it waits for its retry after failure 1" in seen
    assert "CanaryError" in (await browse("olga", "operator").get(f"/jobs/{job}")).text


async def test_a_viewer_does_not_learn_what_meta_says_of_a_schedule(conn: Any, browse: Browse) -> None:
    job = enqueue(conn, "t", meta={"schedule": "canary-7"})

    for role in ("viewer", "operator"):
        facts = (await browse("vera", role).get(f"/jobs/{job}")).text.partition("<h2>Meta")[0]
        assert "canary-7" not in facts


async def test_the_audit_log_does_not_say_which_error_was_asked_for(conn: Any, browse: Browse) -> None:
    (job,) = die(conn, error="CanaryError")

    asked = await browse().get("/dead/redrive?error=CanaryError")
    assert "CanaryError" in asked.text, "who asks has just named it"
    await browse().post("/dead/redrive", data={"error": "CanaryError", "upto": str(job)})

    assert [line[3] for line in audit(conn)] == ["dead letters with a certain error"]
    assert "Canary" not in (await browse("vera", "viewer").get("/audit")).text


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_asking_does_not_tell_what_is_hidden(role: str, conn: Any, browse: Browse) -> None:
    """A count, a row or an empty list would each be an answer."""
    enqueue(conn, "t", args={"password": "canary", "n": 1}, meta={"token": "canary"})
    questions = ['args={"password": "canary"}', 'meta={"token": "canary"}', 'args={"a": {"password": "x"}}']
    questions += ['args={"n": 1}', "meta={}", "error=ValueError"] if role == "viewer" else []
    pages = ["/jobs", "/dead"] + (["/dead/redrive"] if role == "operator" else [])

    answers = {
        (page, question): (await browse("vera", role).get(f"{page}?{question}")).status_code
        for page in pages
        for question in questions
    }

    assert set(answers.values()) == {400}, answers


# --- what is changed is what was counted ---


@pytest.mark.parametrize("what", ["redrive", "delete"])
async def test_what_dies_after_the_count_is_left_whatever_its_id(what: str, conn: Any, browse: Browse) -> None:
    early = enqueue(conn, "t", queue="q")  # its id is below those that are counted, and it dies later
    later = die(conn, 2, queue="other")
    client = browse()
    form = fields(await client.get(f"/dead/{what}"))
    assert form["expected"] == "2"
    worker = Worker(conn, queues=["q"], tasks=["t"])
    (lease,) = worker.step(queue="q").leases
    worker.step(0, queue="q", outcomes=[lease.outcome("dead", error={"type": "E", "message": ""})])

    answer = await client.post(f"/dead/{what}", data=form)

    assert answer.status_code == 200
    assert column(conn, "select d.id from pgqueue.dead_jobs d") == [early]
    assert early < later[0]


async def test_a_time_of_the_count_that_is_none_changes_nothing(conn: Any, browse: Browse) -> None:
    (job,) = die(conn)

    answer = await browse().post("/dead/delete", data={"upto": str(job), "asked_at": "soon"})

    assert answer.status_code == 400
    assert column(conn, "select d.id from pgqueue.dead_jobs d") == [job]


# --- locks ---


async def test_reading_under_a_lock_says_that_the_tables_are_locked(
    connect: Any, world: dict[str, Any], browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgqueue.ui.database.LOCK_MS", 50)
    holder = connect(autocommit=False)
    holder.execute("lock table pgqueue.queued_jobs in access exclusive mode")

    answers = [await browse().get(path) for path in ("/jobs", f"/jobs/{world['ready']}", "/workers", "/")]
    change = await browse().post(f"/jobs/{world['ready']}/cancel", data={"go": "1"})
    holder.rollback()

    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    assert all("locked" in answer.text and "pgq doctor" in answer.text for answer in answers)
    assert change.status_code == 409
    assert "Nothing was changed" in change.text


# --- doors ---


async def test_a_name_behind_brackets_is_not_loopback(dashboards: Callable[..., Dashboard], browse: Browse) -> None:
    client = browse(dashboard=dashboards(authenticate=lambda _: ("a", "viewer"), hosts=["[::1]"]))

    answers = [(await client.get("/audit", headers={"host": host})).status_code for host in ("[::1]", "[::1]:8490")]
    astray = (await client.get("/audit", headers={"host": "[::1].evil.example"})).status_code

    assert (answers, astray) == ([200, 200], 421)


@pytest.mark.parametrize(
    ("user", "groups", "status"),
    [
        ("bob", ["ops"], 200),
        ("bob", ["dev", "ops"], 401),  # which of two headers is the proxy's?
        ("group:ops", [], 401),  # a name that somebody chose for himself
    ],
)
async def test_a_proxys_groups_are_not_spoofed(
    user: str, groups: list[str], status: int, browse: Browse, dashboards: Callable[..., Dashboard]
) -> None:
    entrance = HeaderEntrance("x-user", Proxies(["10.1.2.0/24"]), {"group:ops": Role.ADMIN}, groups_header="x-groups")
    headers = [("x-user", user), *(("x-groups", group) for group in groups)]
    client = browse(dashboard=dashboards(entrance=entrance), address="10.1.2.3", headers=headers)

    assert (await client.get("/audit")).status_code == status


async def test_a_referrer_cannot_lead_to_another_site(world: dict[str, Any], browse: Browse) -> None:
    form, headers = {"queue": "mail"}, {"referer": f"http://{HOST}//evil.example/"}

    answer = await browse().post("/actions/queues/pause", data=form, headers=FROM_OUR_PAGE | headers)

    assert answer.headers["location"] == "/queues/mail"


async def test_settings_that_are_wrong_are_told_to_the_log_alone(
    tmp_path: Path, browse: Browse, dashboards: Callable[..., Dashboard], caplog: pytest.LogCaptureFixture
) -> None:
    entrance = PasswordEntrance(PasswordFile(tmp_path / "canary"), Sessions())

    answer = await browse(dashboard=dashboards(entrance=entrance)).get("/audit")

    assert answer.status_code == 500
    assert "canary" not in answer.text
    assert any("canary" in str(getattr(record, "said", "")) for record in caplog.records)


async def test_a_stranger_is_not_told_the_version(
    people: PasswordFile, browse: Browse, dashboards: Callable[..., Dashboard]
) -> None:
    client = browse(dashboard=dashboards(entrance=PasswordEntrance(people, Sessions())))

    assert VERSION not in (await client.get("/login")).text
    assert VERSION not in (await client.get("/nothing")).text


async def test_who_tries_more_than_his_role_is_noted(
    world: dict[str, Any], browse: Browse, caplog: pytest.LogCaptureFixture
) -> None:
    await browse("vera", "viewer").post("/actions/queues/pause", data={"queue": "mail"})

    assert [record.__dict__["actor"] for record in caplog.records if record.message == "role too low"] == ["vera"]


async def test_what_was_done_is_told_whatever_the_name(browse: Browse) -> None:
    """Browsers drop cookies of more than 4096 characters."""
    answer = await browse().post("/actions/queues/pause", data={"queue": "\U0001f600" * 500})

    assert answer.status_code == 303
    assert len(answer.headers["set-cookie"].partition(";")[0]) <= 4096


# --- sessions ---


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PasswordFile:
    monkeypatch.setattr("pgqueue.ui.passwords.COST", 16)
    file = PasswordFile(tmp_path / "users")
    file.put(Account("ada", Role.ADMIN, hashed("long enough")))
    return file


async def test_signing_out_ends_the_session_wherever_its_cookie_is(
    people: PasswordFile, browse: Browse, dashboards: Callable[..., Dashboard]
) -> None:
    dashboard = dashboards(entrance=PasswordEntrance(people, Sessions()))
    client, other = browse(dashboard=dashboard), browse(dashboard=dashboard)
    form = {"name": "ada", "password": "long enough"}
    stolen = (await client.post("/login", data=form)).cookies[COOKIE]
    await other.post("/login", data=form)
    thief = browse(dashboard=dashboard, headers={"cookie": f"{COOKIE}={stolen}"})
    assert (await thief.get("/audit")).status_code == 200

    await client.post("/logout", data={"go": "1"})

    assert (await thief.get("/audit")).status_code == 303
    assert (await other.get("/audit")).status_code == 200, "another session of the same person goes on"


async def test_behind_a_proxy_with_tls_cookies_are_for_tls_alone(
    people: PasswordFile, browse: Browse, dashboards: Callable[..., Dashboard]
) -> None:
    """The proxy speaks plain HTTP to us; what page the form was on, the browser says."""
    dashboard = dashboards(entrance=PasswordEntrance(people, Sessions()))
    client = browse(dashboard=dashboard, headers={"origin": f"https://{HOST}", "sec-fetch-site": "same-origin"})

    cookie = (await client.post("/login", data={"name": "ada", "password": "long enough"})).headers["set-cookie"]

    assert {"Secure", "HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))


# --- whatever is asked, no page breaks ---


@pytest.mark.slow
@pytest.mark.parametrize("path", PARAMETERS)
async def test_no_parameter_breaks_a_page(path: str, world: dict[str, Any], browse: Browse) -> None:
    client = browse()
    place = address(path, world)

    broken = {}
    for name in PARAMETERS[path]:
        for value in HOSTILE_VALUES:
            answer = await client.get(place, params={name: value})
            if answer.status_code >= 500:
                broken[name, value] = answer.status_code

    assert broken == {}


# --- slow connections ---


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, dashboards: Any) -> None:
    monkeypatch.setattr("pgqueue.ui.visit.BODY_SECONDS", 0.05)
    sent: list[dict[str, Any]] = []

    async def nothing() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    told = {"host": HOST, **FROM_OUR_PAGE, "content-type": "application/x-www-form-urlencoded", "content-length": "9"}
    headers = [(k.encode(), v.encode()) for k, v in told.items()]
    scope = {
        "type": "http", "method": "POST", "path": "/actions/queues/pause", "headers": headers, "query_string": b"",
        "scheme": "http", "server": ("x", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip

    await asyncio.wait_for(dashboards(authenticate=lambda _: ("a", "admin"))(scope, nothing, send), 5)

    assert sent[0]["status"] == 400


@pytest.mark.parametrize("begins", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nG"])
async def test_a_connection_that_asks_for_nothing_is_closed(begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", 0.2)

    async with listening(quick) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begins)
        for _ in range(40):  # a byte now and then does not keep it open
            await asyncio.sleep(0.02)
            writer.write(b"x")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1_000_000), 5)
        writer.close()


async def test_a_connection_that_takes_no_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ANSWER_SECONDS", 0.2)
    given_up = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while (await asyncio.wait_for(receive(), 0.001))["type"] != "http.disconnect":
                pass
        except TimeoutError:
            pass
        while not given_up.is_set():
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
            if (await receive_now(receive)) == "http.disconnect":
                given_up.set()

    async with listening(endless) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        await asyncio.wait_for(given_up.wait(), 5)
        writer.close()


async def test_a_request_that_takes_its_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REQUEST_SECONDS", 0.1)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        await quick(scope, receive, send)

    async with listening(slow) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):  # the second on the same connection
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"hello"), 5)
        writer.close()


async def quick(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


async def receive_now(receive: Any) -> str:
    try:
        return str((await asyncio.wait_for(receive(), 0.01))["type"])
    except TimeoutError:
        return ""


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[int]:
    """A server with the connections of `pgq ui`; its port."""
    config = uvicorn.Config(app, http=patience.PatientProtocol, lifespan="off", ws="none", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    state = server.server_state
    loop = asyncio.get_running_loop()
    made = await loop.create_server(
        lambda: patience.PatientProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        made.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.sleep(0)
