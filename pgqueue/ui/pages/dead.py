"""Dead letters: what they died of, and putting them back or deleting them by the filter, a batch at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from pgqueue.errors import InvalidArgument
from pgqueue.job import State
from pgqueue.listing.filters import Filters
from pgqueue.listing.jobs import CONTENTS_WINDOW, PACKAGE, window_of
from pgqueue.ui import filters
from pgqueue.ui.database import Change, Reading
from pgqueue.ui.pages import joblist
from pgqueue.ui.routing import Action, Page
from pgqueue.ui.visit import Visit
from pgqueue.ui.visitor import Role

BATCH = 500  # jobs of one transaction
GROUPS = 30
GROUPS_WINDOW = 10_000
COUNT_WINDOW = 40_000
TOLD = 20  # of those that stayed
CARRIED = {"args": "argument", "meta": "meta", "error": "error"}  # filters by what viewers may not see


async def dead(visit: Visit) -> Response:
    """List dead letters, newest first, above them what they died of."""
    async with visit.reading(own_role=True) as read:
        asked = _read(visit, read)
        page = await joblist.find(read, asked, visit.query("older"), visit.query("newer"))
        groups = await read.rows("dead_groups", {"queue": asked.queue, "window": GROUPS_WINDOW, "most": GROUPS})
        now, sees = read.now, read.sees_contents
    fields = _fields(asked)
    return visit.page(
        "dead.html",
        live="_dead.html",
        page=page,
        now=now,
        asked=fields,
        filtered=any(fields.values()),
        groups=groups if sees else _by_task(groups),
        estimated=bool(groups) and groups[0]["looked_at"] >= GROUPS_WINDOW,
        looked_at=int(groups[0]["looked_at"]) if groups else 0,
        sees_contents=sees,
        older=visit.here(older=page.older, newer=None) if page.older else None,
        newer=visit.here(newer=page.newer, older=None) if page.newer else None,
    )


async def ask_redrive(visit: Visit) -> Response:
    """Say how many dead letters would be put back, before it is done."""
    asked, count = await _count(visit)
    held = f" {count['held']} of them would stay, because another job holds their key." if count["held"] else ""
    which = _told(asked, to_log=False)
    text = f"This makes the dead letters {which} ready again, as if they had never failed.{held}{_reach(count)}"
    return _ask(visit, asked, count, title="Retry dead letters?", text=text, path="/dead/redrive", verb="Retry them")


async def ask_delete(visit: Visit) -> Response:
    """Say how many dead letters would be deleted, before it is done."""
    asked, count = await _count(visit)
    needed = (
        f" {count['needed']} of them would stay, because a job of their flow waits for their retry."
        if count["needed"]
        else ""
    )
    which = _told(asked, to_log=False)
    text = f"This deletes the dead letters {which} with all they carry, for good.{needed}{_reach(count)}"
    return _ask(visit, asked, count, title="Delete dead letters?", text=text, path="/dead/delete", verb="Delete them")


async def redrive(visit: Visit) -> Response:
    """Put one batch of the filtered dead letters back, and go on with the next when told so."""
    asked = await _asked(visit)
    async with visit.change("dead.redrive", f"dead letters {_told(asked)}") as change:
        ids, after = await _batch(change, visit, asked)
        row = await change.row("redrive", {"ids": ids}) if ids else None
        stayed = await change.rows("still_dead", {"ids": ids}) if ids else []
        done = int(row["moved"]) if row else 0
        change.detail |= {"moved": done, "stayed": len(stayed)}
    told = [_reason(each) for each in stayed[:TOLD]]
    return _progress(
        visit,
        asked,
        path="/dead/redrive",
        word="are ready again",
        done=done,
        stayed=len(stayed),
        after=after,
        told=told,
    )


async def delete(visit: Visit) -> Response:
    """Delete one batch of the filtered dead letters, and go on with the next when told so."""
    asked = await _asked(visit)
    async with visit.change("dead.delete", f"dead letters {_told(asked)}") as change:
        ids, after = await _batch(change, visit, asked)
        gone = await change.rows("remove_dead", {"ids": ids}) if ids else []
        stayed = sorted(set(ids) - {row["id"] for row in gone})
        change.detail |= {"deleted": len(gone), "stayed": len(stayed)}
    told = [f"Job {each}: a job of its flow waits for its retry, or somebody else has it." for each in stayed[:TOLD]]
    return _progress(
        visit,
        asked,
        path="/dead/delete",
        word="are deleted",
        done=len(gone),
        stayed=len(stayed),
        after=after,
        told=told,
    )


async def _batch(change: Change, visit: Visit, asked: Filters) -> tuple[list[int], int | None]:
    """Return the next ids, oldest first, and the id after which to go on; None when these are the last. What has died
    since they were counted is not touched, whether it was enqueued before or after."""
    upto, asked_at = visit.number("upto") or 0, _asked_at(visit, change)
    window = window_of(asked, ["jobs_dead"])
    params = {**asked.params(), "up": True, "at": visit.number("after") or 0, "window": window, "most": BATCH}
    found = sorted(await change.rows("jobs_dead", params, package=PACKAGE), key=lambda row: int(row["id"]))
    within = [row for row in found if row["id"] <= upto]
    ended = len(within) < len(found) or (len(found) < BATCH and not any(row["ended"] for row in found))
    return [row["id"] for row in within if row["hit"] and row["finished_at"] <= asked_at], None if ended else within[
        -1
    ]["id"]


def _progress(
    visit: Visit, asked: Filters, *, path: str, word: str, done: int, stayed: int, after: int | None, told: list[str]
) -> Response:
    """Say what a batch did; with a button, which presses itself where there is JavaScript, if there is more to do."""
    done += visit.number("done") or 0
    stayed += visit.number("stayed") or 0
    carried = {
        "upto": visit.number("upto"),
        "asked_at": visit.query("asked_at"),
        "expected": visit.number("expected"),
        "done": done,
        "stayed": stayed,
        "after": after,
    }
    return visit.page(
        "dead_progress.html",
        word=word,
        done=done,
        stayed=stayed,
        reasons=told,
        expected=visit.number("expected") or 0,
        action=visit.url(path),
        fields={**_fields(asked), **carried} if after is not None else None,
        back=visit.url("/dead", **_fields(asked)),
    )


async def _count(visit: Visit) -> tuple[Filters, dict[str, Any]]:
    async with visit.reading(own_role=True) as read:
        asked = _read(visit, read)
        window = CONTENTS_WINDOW if asked.by_contents else COUNT_WINDOW
        counted = await read.rows("dead_count", {**asked.params(), "window": window})
        now = read.now
    return asked, {**counted[0], "now": now, "all": counted[0]["looked_at"] < window}


def _ask(
    visit: Visit, asked: Filters, count: Mapping[str, Any], *, title: str, text: str, path: str, verb: str
) -> Response:
    fields = {**_fields(asked), "upto": count["newest"] or 0, "asked_at": count["now"].isoformat()}
    back = visit.url("/dead", **_fields(asked))
    return visit.confirm(
        title=title, text=text, count=count["jobs"], action=visit.url(path), fields=fields, back=back, verb=verb
    )


def _reach(count: Mapping[str, Any]) -> str:
    return "" if count["all"] else f" Counted among the oldest {count['looked_at']:,} only: there are more."


async def _asked(visit: Visit) -> Filters:
    """Read the filters of a form. Whoever may change may see contents, unless the masks hide them."""
    return filters.read(visit, sees_contents=True, masks=visit.site.database.masks).of()


def _read(visit: Visit, read: Reading) -> Filters:
    return filters.read(visit, sees_contents=read.sees_contents, masks=visit.site.database.masks).of(State.DEAD)


def _asked_at(visit: Visit, change: Change) -> datetime:
    """Return when the dead letters were counted; a form that does not say so means all that are dead now."""
    written = visit.query("asked_at")
    try:
        moment = datetime.fromisoformat(written) if written else change.now
    except ValueError:
        raise InvalidArgument("asked_at: comes from the page that asks; begin there again") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _fields(asked: Filters) -> dict[str, str | None]:
    return filters.fields(asked.of())


def _told(asked: Filters, *, to_log: bool = True) -> str:
    """Say which, for the audit log, or for who asks, who has just named it: what jobs carry is not for the log."""
    hidden = CARRIED if to_log else {}
    given = {name: value for name, value in _fields(asked).items() if value is not None}
    named = [f'{name} "{value}"' for name, value in given.items() if name not in hidden]
    carried = [f"a certain {word}" for name, word in hidden.items() if name in given]
    of, with_ = f"of {', '.join(named)}" if named else "", f"with {' and '.join(carried)}" if carried else ""
    return f"{of} {with_}".strip() or "of all queues"


def _reason(row: Mapping[str, Any]) -> str:
    if row["holder"]:
        return f'Job {row["id"]}: its key "{row["key"]}" of queue "{row["queue"]}" is held by job {row["holder"]}.'
    return f"Job {row['id']}: it could not be put back; retry it alone to see why."


def _by_task(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put groups together that differ in the error only, which the visitor may not see."""
    found: dict[str, dict[str, Any]] = {}
    for group in groups:
        known = found.setdefault(group["task"], {**group, "jobs": 0})
        known["jobs"] += group["jobs"]
        known["last_at"] = max(known["last_at"], group["last_at"])
    return list(found.values())


ENTRIES = (
    Page("/dead", dead, nav="Dead letters"),
    Page("/dead/redrive", ask_redrive, role=Role.OPERATOR),
    Page("/dead/delete", ask_delete, role=Role.ADMIN),
    Action("/dead/redrive", redrive),
    Action("/dead/delete", delete, role=Role.ADMIN),
)
