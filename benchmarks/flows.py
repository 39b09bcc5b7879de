"""Flows under fire: random DAGs, batches and sagas through four processes, one of which is killed every second.

The database says how each node ended, the handlers' own notes when they began and ended. Every node must end once; no
job may begin before what it waits for has ended as its links demand; every callback runs when it should and is settled
once; and the compensations of a failed saga run in reverse order, those of its steps that had succeeded and no others.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from benchmarks import house, programs
from benchmarks.harness import Run, main

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

PROCESSES, LEASE_SECONDS = 4, 2
FEED_SECONDS, CALM_SECONDS = 20.0, 180.0
Entry = dict[str, Any]


def run(bench: Run) -> None:
    """Feed flows and kill processes, then read both accounts."""
    flows, ledger = bench.count(600, 60), bench.folder / "nodes"
    rng = random.Random(20261122)
    feed = FEED_SECONDS if not bench.quick else FEED_SECONDS / 4
    with bench.connect() as conn:
        house.empty(conn)
        options = ["--processes", str(PROCESSES), "--lease", str(LEASE_SECONDS), "--log-level", "critical"]
        fleet = programs.work(bench.dsn, *options, env={"PGQ_BENCH_LEDGER": str(ledger)}, quiet=True)
        kills, added, started = 0, 0, time.monotonic()
        with programs.kept(fleet):
            next_kill = 1.0
            while added < flows or (_left(conn) and time.monotonic() - started < 2 * feed):
                now = time.monotonic() - started
                while added < min(flows, int(flows * now / feed) + 1):
                    conn.execute("select * from pgqueue.enqueue_flow(%s::jsonb)", [json.dumps(random_flow(rng))])
                    added += 1
                if now > next_kill:
                    kills += _kill_one(fleet)
                    next_kill += 1.0
                time.sleep(0.05)
            house.wait_until(conn, "select not exists (select from pgqueue.queued_jobs)", seconds=CALM_SECONDS)
        seconds = time.monotonic() - started
        found = judge(conn, ledger)
    found |= {"flows": flows, "kills": kills, "seconds": round(seconds)}
    bench.keep("figures", found)
    bench.table(["", "count"], [[name, f"{value:,}"] for name, value in found.items()])
    for name in BROKEN:
        bench.verdict(f"{name}: {found[name]}", passed=not found[name])


BROKEN = (
    "nodes without an end",
    "jobs not in one final state",
    "began too early",
    "began though a parent had not ended as asked",
    "callbacks that ran and should not, or the other way round",
    "compensations missing or too many",
    "compensations out of order",
)


def random_flow(rng: random.Random) -> Entry:
    """One of the three kinds."""
    return rng.choice([_dag, _batch, _saga])(rng)


def _job(rng: random.Random, *, certain: bool = False, **more: Any) -> Entry:
    fate = "ok" if certain else rng.choices(["ok", "flaky", "dead"], [8, 2, 1])[0]
    return {"task": "jobs.node", "args": {"fate": fate, "ms": rng.randint(0, 8)}, **more}


def _dag(rng: random.Random) -> Entry:
    jobs: list[Entry] = []
    for number in range(rng.randint(2, 25)):
        parents = rng.sample(range(number), min(number, rng.randint(0, 3)))
        when = [rng.choices(["succeeded", "ended", "failed"], [6, 3, 1])[0] for _ in parents]
        after = [{"index": parent, "when": asked} for parent, asked in zip(parents, when, strict=True)]
        barrier = bool(parents) and rng.random() < 0.1
        entry: Entry = {"barrier": True} if barrier else _job(rng)
        jobs.append({**entry, "after": after, "on_failure": rng.choice(["cancel", "cancel", "dead"])})
    return {"kind": "dag", "jobs": jobs}


def _batch(rng: random.Random) -> Entry:
    jobs = [_job(rng, certain=rng.random() < 0.7) for _ in range(rng.choice([0, 1, 5, 30, 150]))]
    if rng.random() < 0.5:
        for job in jobs:
            job["args"]["fate"] = "ok"
    members = len(jobs)
    jobs.append({"barrier": True, "verdict": True, "after": [{"index": i, "when": "ended"} for i in range(members)]})
    for role, when in (("on_success", "succeeded"), ("on_done", "ended"), ("on_failed", "failed")):
        jobs.append(_job(rng, certain=True, role=role, after=[{"index": members, "when": when}]))
    return {"kind": "batch", "jobs": jobs}


def _saga(rng: random.Random) -> Entry:
    steps = rng.randint(1, 6)
    jobs = [_job(rng, role="step", after=[i - 1] if i else []) for i in range(steps)]
    end = len(jobs)
    jobs.append({"barrier": True, "verdict": True, "after": [{"index": i, "when": "ended"} for i in range(steps)]})
    later: int | None = None
    for step in reversed(range(steps)):
        if rng.random() < 0.2:
            continue
        after: list[Any] = [step, {"index": end, "when": "failed"}]
        if later is not None:
            after.append({"index": later, "when": "not_failed"})
        undo = _job(rng, role="undo", after=after)
        undo["args"]["fate"] = rng.choice(["ok", "flaky"])
        later = len(jobs)
        jobs.append(undo)
    return {"kind": "saga", "jobs": jobs}


def judge(conn: psycopg.Connection[Any], ledger: Path) -> dict[str, int]:
    """What the database and the notes say, held against each other."""
    began, ended = _notes(ledger)
    query = "select n.id, n.flow_id, n.place, n.role, n.outcome, n.is_job, f.kind from pgqueue.flow_nodes n"
    nodes = {row[0]: row for row in conn.execute(query + " join pgqueue.job_flows f on f.id = n.flow_id")}
    links = conn.execute("select parent_id, child_id, condition from pgqueue.flow_links").fetchall()
    outcome = {node: row[4] for node, row in nodes.items()}
    found = Counter(dict.fromkeys(BROKEN, 0))
    found["nodes"], found["links"], found["runs"] = len(nodes), len(links), sum(len(at) for at in began.values())
    found["nodes without an end"] = sum(end is None for end in outcome.values())
    found["jobs not in one final state"] = _not_once(conn)
    for parent, child, condition in links:
        if child not in began:
            continue
        if parent in began and (parent not in ended or max(ended[parent]) > min(began[child])):
            found["began too early"] += 1
        kept = {
            "succeeded": outcome[parent] == "succeeded",
            "if_succeeded": outcome[parent] == "succeeded",
            "not_failed": outcome[parent] in {"succeeded", "skipped"},
        }
        if not kept.get(condition, True):
            found["began though a parent had not ended as asked"] += 1
    flows: dict[int, list[Any]] = defaultdict(list)
    for row in nodes.values():
        flows[row[1]].append(row)
    for rows in flows.values():
        kind = rows[0][6]
        if kind == "batch":
            _judge_batch(rows, began, found)
        elif kind == "saga":
            _judge_saga(sorted(rows, key=lambda row: row[2]), links, began, found)
    return dict(found)


def _judge_batch(rows: list[Any], began: dict[int, list[int]], found: Counter[str]) -> None:
    failed = any(row[4] != "succeeded" for row in rows if row[3] == "member" and row[5])
    due = {"on_done": True, "on_success": not failed, "on_failed": failed}
    for row in rows:
        if row[3] in due:
            wrong = (row[0] in began) != due[row[3]] or (row[4] == "succeeded") != due[row[3]]
            found["callbacks that ran and should not, or the other way round"] += wrong


def _judge_saga(rows: list[Any], links: list[Any], began: dict[int, list[int]], found: Counter[str]) -> None:
    steps = [row for row in rows if row[3] == "step"]
    failed = any(row[4] != "succeeded" for row in steps)
    undos = [row for row in rows if row[3] == "undo"]  # in the order in which they have to run
    step_ids = {row[0]: row[4] for row in steps}
    step_of = {child: parent for parent, child, _ in links if parent in step_ids}
    for undo in undos:
        due = failed and step_ids[step_of[undo[0]]] == "succeeded"
        found["compensations missing or too many"] += (undo[0] in began) != due or (undo[4] == "succeeded") != due
    order = [min(began[undo[0]]) for undo in undos if undo[0] in began]
    found["compensations out of order"] += order != sorted(order)


def _not_once(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute(
        """select count(*) from pgqueue.flow_nodes n where n.is_job and 1 <>
             (select count(*) from pgqueue.finished_jobs f where f.id = n.id)
             + (select count(*) from pgqueue.dead_jobs d where d.id = n.id)
             + (select count(*) from pgqueue.queued_jobs q where q.id = n.id)"""
    ).fetchone()
    return int(row[0]) if row else -1


def _notes(ledger: Path) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """The places in the ledger where each job began and ended."""
    began: dict[int, list[int]] = defaultdict(list)
    ended: dict[int, list[int]] = defaultdict(list)
    for place, line in enumerate(ledger.read_text().splitlines()):
        what, job, _, _ = line.split()
        (began if what == "start" else ended)[int(job)].append(place)
    return began, ended


def _kill_one(fleet: programs.Program) -> int:
    alive = programs.children(fleet.pid)
    if not alive:
        return 0
    with suppress(ProcessLookupError):
        os.kill(random.choice(alive), signal.SIGKILL)
    return 1


def _left(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("select count(*) from pgqueue.queued_jobs").fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    main(flows=run)
