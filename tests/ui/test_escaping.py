"""What users and jobs write is shown as text, never as part of a page; secrets in it are not shown at all."""

import json
from typing import Any

import pytest

from tests.ui.conftest import Browse
from tests.ui.routes import PAGES, address
from tests.ui.world import HOSTILE, SECRET, fill

DANGEROUS = ("<img src=x", "<script>alert")


@pytest.mark.parametrize("path", PAGES)
async def test_hostile_texts_stay_texts(path: str, conn: Any, browse: Browse) -> None:
    world = fill(conn, mark=HOSTILE)

    answer = await browse().get(address(path, world))

    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("application/json"):
        json.loads(answer.text)
        return
    assert not [piece for piece in DANGEROUS if piece in answer.text]


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
@pytest.mark.parametrize("path", PAGES)
async def test_secrets_are_on_no_page(path: str, role: str, world: dict[str, Any], browse: Browse) -> None:
    answer = await browse("ada", role).get(address(path, world))

    assert SECRET not in answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_a_viewer_sees_nothing_that_jobs_carry(path: str, world: dict[str, Any], browse: Browse) -> None:
    answer = await browse("vera", "viewer").get(address(path, world))

    for content in ("api_token", "no such user", "ValueError", "Traceback: line 1"):
        assert content not in answer.text


async def test_a_hostile_query_is_escaped_or_refused(browse: Browse) -> None:
    for path in ("/audit", "/no-such-page"):
        answer = await browse().get(path, params={"actor": HOSTILE, "before": HOSTILE, HOSTILE: HOSTILE})

        assert answer.status_code in {400, 404}
        assert not [piece for piece in DANGEROUS if piece in answer.text]
