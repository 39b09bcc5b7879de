"""What an outsider is refused: a table of requests. And that every answer carries the headers that keep others out."""

import pytest

from pgqueue.ui import Dashboard
from pgqueue.ui.doors import HEADERS, LARGEST_FORM, Doors
from pgqueue.ui.routing import Action, Page
from pgqueue.ui.visitor import Role
from tests.ui.conftest import FROM_OUR_PAGE, HOST, Browse
from tests.ui.routes import ACTIONS, FORMS, PAGES, address

POST = "/queues/mail/pause"  # whatever it does: it is refused before a page is looked for
FORM = {"content-type": "application/x-www-form-urlencoded"}
REFUSED = {
    "another host": ("GET", "/", {"host": "evil.example"}, 421),
    "another host that ends like ours": ("GET", "/", {"host": f"evil.{HOST}"}, 421),
    "no host": ("GET", "/", {"host": ""}, 421),
    "a POST to another host": ("POST", POST, {"host": "evil.example", **FROM_OUR_PAGE, **FORM}, 421),
    "a form of another site": (
        "POST",
        POST,
        {"sec-fetch-site": "cross-site", "origin": "http://evil.example", **FORM},
        403,
    ),
    "a form of another site, our origin": (
        "POST",
        POST,
        {**FROM_OUR_PAGE, "sec-fetch-site": "cross-site", **FORM},
        403,
    ),
    "a form of another name of our site": ("POST", POST, {**FROM_OUR_PAGE, "sec-fetch-site": "same-site", **FORM}, 403),
    "another origin, an old browser": ("POST", POST, {"origin": "http://evil.example", **FORM}, 403),
    "another port of ours": ("POST", POST, {"origin": f"http://{HOST}:8080", **FORM}, 403),
    "an opaque origin": ("POST", POST, {"origin": "null", **FORM}, 403),
    "neither header": ("POST", POST, FORM, 403),
    "typed by a user": ("POST", POST, {"sec-fetch-site": "none", **FORM}, 403),
    "text/plain, as forms can send": ("POST", POST, {**FROM_OUR_PAGE, "content-type": "text/plain"}, 415),
    "JSON": ("POST", POST, {**FROM_OUR_PAGE, "content-type": "application/json"}, 415),
    "a body too large": ("POST", POST, {**FROM_OUR_PAGE, **FORM, "content-length": str(LARGEST_FORM + 1)}, 413),
    "PUT": ("PUT", POST, FROM_OUR_PAGE, 405),
    "DELETE": ("DELETE", POST, FROM_OUR_PAGE, 405),
    "OPTIONS": ("OPTIONS", POST, FROM_OUR_PAGE, 405),
    "TRACE": ("TRACE", "/", FROM_OUR_PAGE, 405),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_from_elsewhere_is_refused(name: str, browse: Browse) -> None:
    method, path, headers, status = REFUSED[name]

    answer = await browse(headers={}).request(method, path, headers=headers)

    assert answer.status_code == status
    assert not answer.headers.get("set-cookie")
    assert {header: answer.headers.get(header) for header in HEADERS} == dict(HEADERS)


async def test_of_two_host_names_neither_is_believed(browse: Browse) -> None:
    for hosts in ([HOST, "evil.example"], ["evil.example", HOST]):
        answer = await browse(headers={}).get("/", headers=[("host", host) for host in hosts])

        assert answer.status_code == 421, hosts


async def test_a_form_of_ours_is_let_through(browse: Browse) -> None:
    for headers in (FROM_OUR_PAGE, {"origin": f"http://{HOST}"}, {"sec-fetch-site": "same-origin"}):
        answer = await browse(headers=headers).post("/no-such-page", data={"a": "b"})

        assert answer.status_code == 404, headers


async def test_a_longer_body_than_it_says_is_cut_off(dashboards: object) -> None:
    read = []

    async def app(scope: object, receive: object, send: object) -> None:
        while (message := await receive())["type"] != "http.disconnect":  # type: ignore[operator]
            read.append(len(message["body"]))

    async def endless() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * 20_000, "more_body": True}

    headers = [(k.encode(), v.encode()) for k, v in {"host": HOST, **FROM_OUR_PAGE, **FORM}.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}

    await Doors(app, hosts=[HOST])(scope, endless, None)  # type: ignore[arg-type]

    assert sum(read) <= LARGEST_FORM


async def test_a_websocket_is_closed() -> None:
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    await Doors(None, hosts=None)({"type": "websocket"}, None, send)  # type: ignore[arg-type]

    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("path", [*PAGES, *ACTIONS])
async def test_somebody_unknown_reads_and_changes_nothing(
    path: str, world: dict[str, object], browse: Browse, dashboards: type[Dashboard]
) -> None:
    method = "POST" if path in ACTIONS else "GET"
    stranger = browse(dashboard=dashboards(authenticate=lambda _: None))

    answer = await stranger.request(method, address(path, world), data=FORMS.get(path))

    assert answer.status_code == 401
    assert not any(str(world[name]) in answer.text for name in ("queue", "task", "key", "group"))


@pytest.mark.parametrize("path", ACTIONS)
async def test_a_viewer_changes_nothing(path: str, world: dict[str, object], browse: Browse) -> None:
    answer = await browse("vera", "viewer").post(address(path, world), data=FORMS.get(path))

    assert answer.status_code == 403
    assert "This takes the role" in answer.text  # said by the door, before the database would refuse it


@pytest.mark.parametrize("path", ACTIONS)
async def test_a_get_changes_nothing(path: str, world: dict[str, object], browse: Browse) -> None:
    answer = await browse().get(address(path, world))

    assert answer.status_code in ({200, 405} if path in PAGES else {405})


def test_no_action_is_for_viewers_and_what_deletes_is_for_admins() -> None:
    from pgqueue.ui.pages import ENTRIES

    actions = {entry.path: entry.role for entry in ENTRIES if isinstance(entry, Action)}
    pages = [entry for entry in ENTRIES if isinstance(entry, Page)]

    assert all(role >= Role.OPERATOR for role in actions.values())
    deleting = [path for path in actions if path.rsplit("/", 1)[-1] in {"delete", "remove", "purge", "rm"}]
    assert all(actions[path] is Role.ADMIN for path in deleting)
    assert pages


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_answers_with_the_headers_that_protect_it(
    path: str, world: dict[str, object], browse: Browse
) -> None:
    answer = await browse().get(address(path, world))

    assert answer.status_code == 200, answer.text
    assert {header: answer.headers.get(header) for header in HEADERS} == dict(HEADERS)
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
async def test_a_viewer_may_read_every_page(path: str, world: dict[str, object], browse: Browse) -> None:
    from pgqueue.ui.pages import ENTRIES

    role = next(entry.role for entry in ENTRIES if entry.path == path)

    answer = await browse("vera", "viewer").get(address(path, world))

    assert answer.status_code == (200 if role is Role.VIEWER else 403), answer.text


async def test_a_static_file_is_served_by_its_hash_alone(browse: Browse) -> None:
    client = browse()
    page = (await client.get("/")).text
    stylesheet = page.split('rel="stylesheet" href="')[1].split('"')[0]

    found = await client.get(stylesheet)

    assert found.status_code == 200
    assert found.headers["content-type"].startswith("text/css")
    for other in ("/static/app.css", "/static/..%2f..%2fapp.py", "/static/"):
        assert (await client.get(other)).status_code == 404
