"""The commands, run as people and scripts run them."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgqueue.embedded import watchdog
from pgqueue.migrate import revisions
from tests.sql.engine import Worker, enqueue
from tests.support.command import PGQ, environment, pgq
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
Conn = psycopg.Connection[Any]

APP = """
from pgqueue import App
app = App()

@app.task(name="fine")
async def fine(n: int) -> int:
    return n

@app.task(name="bad", max_attempts=1)
async def bad(n: int) -> None:
    raise ValueError(f"no {n}")
"""


def kill(conn: Conn, task: str = "bad", key: str | None = None) -> int:
    """Enqueue a job and make it a dead letter."""
    row = conn.execute("select pgqueue.enqueue(%s, '{\"n\": 1}', key => %s)", [task, key]).fetchone()
    assert row is not None
    conn.execute(
        "with gone as (delete from pgqueue.queued_jobs where id = %(id)s returning *), freed as ("
        " delete from pgqueue.job_keys where job_id = %(id)s) "
        "insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, args_day, attempt, priority, failures, losses,"
        " suspect, queue, task, key, error, attempts)"
        " select id, now(), run_at, created_at, args_day, 1, priority, 1, 0, false, queue,"
        """ task, key, '{"type": "ValueError", "message": "no"}', '[]' from gone""",
        {"id": row[0]},
    )
    return int(row[0])


def rows(conn: Conn, table: str) -> int:
    found = conn.execute(f"select count(*) from pgqueue.{table}").fetchone()  # type: ignore[arg-type]
    assert found is not None
    return int(found[0])


def test_a_job_is_enqueued_and_shown(dsn: str) -> None:
    words = ("--args", '{"n": 1.50}', "--key", "k", "--delay", "10m", "--priority", "-3", "--meta", '{"a": 1}')
    job_id = int(pgq("enqueue", "mail.send", *words, PGQ_DSN=dsn).out)

    shown = pgq("jobs", "show", str(job_id), "--json", PGQ_DSN=dsn).json

    assert (shown["id"], shown["task"], shown["state"], shown["key"]) == (job_id, "mail.send", "scheduled", "k")
    assert (shown["args"], shown["meta"], shown["priority"], shown["attempts"]) == ({"n": 1.5}, {"a": 1}, -3, [])


def test_the_steps_of_a_job_are_shown(dsn: str, conn: "psycopg.Connection[Any]") -> None:
    job_id = int(pgq("enqueue", "shop.order", PGQ_DSN=dsn).out)
    conn.execute(
        "insert into pgqueue.job_steps (job_id, stored_at, attempt, name, result) values"
        " (%(id)s, '2026-11-22 18:00:02+00', 2, 'ship', 'null'),"
        " (%(id)s, '2026-11-22 18:00:01+00', 1, 'charge', '[\"é\"]')",
        {"id": job_id},
    )

    shown = pgq("jobs", "show", str(job_id), "--json", PGQ_DSN=dsn).json
    told = pgq("jobs", "show", str(job_id), PGQ_DSN=dsn).out

    assert [(step["name"], step["attempt"], step["result"]) for step in shown["steps"]] == [
        ("charge", 1, ["é"]),
        ("ship", 2, None),
    ]
    assert "    charge: attempt 1, 2026-11-22" in told
    assert ', ["é"]\n    ship: attempt 2' in told


def test_why_a_job_waits_is_told_as_a_table_as_json_and_by_show(dsn: str) -> None:
    job_id = pgq("enqueue", "mail.send", "--delay", "10m", "--queue", "mail", PGQ_DSN=dsn).out.strip()
    pgq("queues", "pause", "mail", PGQ_DSN=dsn)

    rows = pgq("why", job_id, "--json", PGQ_DSN=dsn).json
    table = pgq("why", job_id, PGQ_DSN=dsn)
    show = pgq("jobs", "show", job_id, PGQ_DSN=dsn).out
    unknown = pgq("why", "1000000", PGQ_DSN=dsn)

    assert [row["gate"] for row in rows] == ["due", "paused", "no_worker"]
    assert table.status == 0
    assert [line.split()[0] for line in table.out.splitlines()] == ["gate", "due", "paused", "no_worker"]
    assert f"\nwhy:\n    due: {rows[0]['detail'].split(',')[0]}" in show
    assert [gate["gate"] for gate in pgq("jobs", "show", job_id, "--json", PGQ_DSN=dsn).json["why"]][1:] == [
        "paused",
        "no_worker",
    ]
    assert (unknown.status, unknown.err.count("\n")) == (1, 1)
    assert "there is no job 1000000" in unknown.err


def test_arguments_come_from_a_file_or_stdin(dsn: str, tmp_path: Path) -> None:
    tmp_path.joinpath("args.json").write_text('{"n": 1}')

    one = pgq("enqueue", "t", "--args", "@args.json", "--json", cwd=tmp_path, PGQ_DSN=dsn).json
    two = pgq("enqueue", "t", "--args", "-", stdin='{"n": 2}', PGQ_DSN=dsn).out

    shown = [pgq("jobs", "show", str(i), "--json", PGQ_DSN=dsn).json["args"] for i in (one["id"], two.strip())]
    assert shown == [{"n": 1}, {"n": 2}]


def test_a_file_of_jobs_is_added_with_the_defaults_of_the_line(dsn: str, conn: Conn) -> None:
    lines = "".join(json.dumps({"args": {"n": n}, "queue": "q" if n % 2 else None}) + "\n" for n in range(2500))

    result = pgq("enqueue", "t", "--many", "-", "--queue", "other", "--json", stdin=lines, PGQ_DSN=dsn)

    assert (result.json["lines"], result.json["jobs"]) == (2500, 2500)
    counts = conn.execute("select queue, count(*) from pgqueue.queued_jobs group by queue order by queue").fetchall()
    assert counts == [("other", 1250), ("q", 1250)]


@pytest.mark.parametrize(
    "bad", ["nonsense", '{"args": {}}', '{"task": "t", "colour": 1}', '{"task": "t", "run_at": "x"}']
)
def test_a_bad_line_is_named_and_nothing_of_the_file_is_added(dsn: str, conn: Conn, bad: str) -> None:
    lines = '{"task": "t"}\n' * 1100 + bad + "\n"

    result = pgq("enqueue", "--many", "-", stdin=lines, PGQ_DSN=dsn)

    assert result.status == 2
    assert result.err.startswith("pgq: line 1101:")
    assert rows(conn, "queued_jobs") == 0


def test_jobs_of_all_tables_are_paged_newest_first(dsn: str, conn: Conn) -> None:
    ids = [int(pgq("enqueue", "t", PGQ_DSN=dsn).out) for _ in range(3)]
    dead = kill(conn)
    conn.execute("select pgqueue.cancel(%s)", [ids[1]])

    first = pgq("jobs", "ls", "--limit", "2", "--json", PGQ_DSN=dsn).json
    rest = pgq("jobs", "ls", "--before", str(first[-1]["id"]), "--json", PGQ_DSN=dsn).json

    assert [(job["id"], job["state"]) for job in first + rest] == [
        *((dead, "dead"), (ids[2], "ready"), (ids[1], "cancelled"), (ids[0], "ready")),
    ]


def test_jobs_are_found_by_state_and_key(dsn: str, conn: Conn) -> None:
    dead = kill(conn, key="a")
    waiting = int(pgq("enqueue", "t", "--key", "a", PGQ_DSN=dsn).out)
    conn.execute("select pgqueue.cancel(pgqueue.enqueue('t', key => 'b'))")

    by_key = pgq("jobs", "ls", "--key", "a", "--json", PGQ_DSN=dsn).json
    by_state = pgq("jobs", "ls", "--state", "dead,ready", "--json", PGQ_DSN=dsn).json
    finished = pgq("jobs", "ls", "--key", "b", "--json", PGQ_DSN=dsn).json

    assert [job["id"] for job in by_key] == [waiting, dead]
    assert [job["id"] for job in by_state] == [waiting, dead]
    assert [job["state"] for job in finished] == ["cancelled"]


def test_unfinished_jobs_of_a_state_are_paged_as_they_are_due(dsn: str, conn: Conn) -> None:
    soon, late, last = (enqueue(conn, delay=f"{hours} hours") for hours in (1, 2, 3))
    page = ("jobs", "ls", "--state", "scheduled", "--limit", "2")

    shown = terminal(*page, PGQ_DSN=dsn)
    on = re.findall(r"later ones: --before (\S+)", shown)
    rest = pgq(*page, "--before", *on, "--json", PGQ_DSN=dsn).json
    below = pgq(*page, "--before", str(last), "--json", PGQ_DSN=dsn).json

    assert [int(each) for each in re.findall(r"^\s*(\d+)\s+scheduled", shown, re.MULTILINE)] == [soon, late]
    assert [job["id"] for job in rest] == [last]
    assert [job["id"] for job in below] == [late, soon]  # an id: newest first, below it


def test_a_search_that_ends_early_says_so_and_where_to_go_on(dsn: str, conn: Conn) -> None:
    rare = enqueue(conn, "rare")
    conn.execute("select pgqueue.enqueue('t') from generate_series(1, 26700)")

    first = pgq("jobs", "ls", "--task", "rare", PGQ_DSN=dsn)
    on = re.findall(r"stopped there, .* go on with --before (\S+)", first.err)
    found = pgq("jobs", "ls", "--task", "rare", "--before", *on, "--json", PGQ_DSN=dsn)

    assert (first.status, len(first.out.splitlines())) == (0, 1)
    assert [job["id"] for job in found.json] == [rare]
    assert found.err == ""


def test_a_place_that_is_none_is_told_in_a_line(dsn: str) -> None:
    for words in (["--before", "99999999999999999999"], ["--before", "2026~1", "--state", "ready"]):
        result = pgq("jobs", "ls", *words, PGQ_DSN=dsn)

        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(f'pgq: --before "{words[1]}": must be the id of a job')


def test_retry_and_cancel_report_each_job(dsn: str, conn: Conn) -> None:
    dead = kill(conn)

    retried = pgq("jobs", "retry", str(dead), "999", PGQ_DSN=dsn)
    cancelled = pgq("jobs", "cancel", str(dead), "--json", PGQ_DSN=dsn)

    assert (retried.status, retried.out) == (1, f"job {dead}: ready again\n")
    assert "there is no job 999" in retried.err
    assert (cancelled.status, cancelled.json) == (0, [{"id": dead, "state": "cancelled"}])


def test_rm_leaves_nothing_behind_and_spares_the_unfinished(dsn: str, conn: Conn) -> None:
    dead = kill(conn)
    waiting = int(pgq("enqueue", "t", PGQ_DSN=dsn).out)

    result = pgq("jobs", "rm", str(dead), str(waiting), PGQ_DSN=dsn)

    assert result.status == 1
    assert f"job {waiting} is ready: cancel it first" in result.err
    assert [rows(conn, table) for table in ("dead_jobs", "job_args", "queued_jobs")] == [0, 1, 1]


def test_redrive_tells_which_keys_are_taken(dsn: str, conn: Conn) -> None:
    kept = kill(conn, key="k")
    kill(conn)
    pgq("enqueue", "t", "--key", "k", PGQ_DSN=dsn)

    dry = pgq("dlq", "redrive", "--dry-run", "--json", PGQ_DSN=dsn).json
    result = pgq("dlq", "redrive", PGQ_DSN=dsn)

    assert dry == {"would_redrive": 1, "held_by_key": 1}
    assert result.out == "1 jobs are ready again\n"
    assert result.err.startswith(f"pgq: job {kept} stays dead")


def test_purge_asks_and_leaves_nothing_behind(dsn: str, conn: Conn) -> None:
    for task in ("bad", "bad", "worse"):
        kill(conn, task)

    unasked = pgq("dlq", "purge", PGQ_DSN=dsn)
    young = pgq("dlq", "purge", "--older-than", "1h", "--yes", "--json", PGQ_DSN=dsn).json
    plan = pgq("dlq", "purge", "--dry-run", "--json", PGQ_DSN=dsn).json
    purged = pgq("dlq", "purge", "--task", "bad", "--yes", "--json", PGQ_DSN=dsn).json

    assert unasked.status == 2
    assert young == {"deleted": 0}
    assert [(row["task"], row["jobs"]) for row in plan] == [("bad", 2), ("worse", 1)]
    assert purged == {"deleted": 2}
    assert [rows(conn, table) for table in ("dead_jobs", "job_args")] == [1, 1]


def test_a_queue_is_paused_and_resumed_and_an_unknown_one_refused(dsn: str) -> None:
    pgq("enqueue", "t", "--queue", "mail", PGQ_DSN=dsn)

    unknown = pgq("queues", "pause", "male", PGQ_DSN=dsn)
    pgq("queues", "pause", "mail", PGQ_DSN=dsn)
    paused = pgq("queues", "ls", "--json", PGQ_DSN=dsn).json
    resumed = pgq("queues", "resume", "mail", "--json", PGQ_DSN=dsn).json

    assert (unknown.status, unknown.err) == (1, 'pgq: there is no queue "male"; there are: mail\n')
    assert [(queue["queue"], queue["paused"], queue["ready"]) for queue in paused] == [("mail", True, 1)]
    assert resumed == {"queue": "mail", "paused": False, "changed": True}


def test_migrate_plans_applies_and_writes_out(empty_dsn: str) -> None:
    planned = pgq("migrate", "--plan", "--json", PGQ_DSN=empty_dsn).json
    applied = pgq("migrate", PGQ_DSN=empty_dsn)
    again = pgq("migrate", PGQ_DSN=empty_dsn)
    script = pgq("migrate", "--sql", "--schema", "other")

    assert [step["revision"] for step in planned] == list(revisions.known())
    assert re.findall(r"^applied (\S+): ", applied.out, re.MULTILINE) == list(revisions.known())
    assert again.out == 'schema "pgqueue" is up to date\n'
    assert 'create table "other".queued_jobs' in script.out


def test_stats_and_health_tell_of_dead_letters_and_missing_workers(dsn: str, conn: Conn) -> None:
    kill(conn)
    conn.execute("select pgqueue.enqueue('t', run_at => now() - interval '1 hour')")

    stats = pgq("stats", "--json", PGQ_DSN=dsn).json
    health = pgq("health", "--json", PGQ_DSN=dsn)
    well = pgq("health", "--no-worker", "--max-lag", "2h", PGQ_DSN=dsn)

    assert (stats["dead"], stats["ready"], stats["workers"], stats["migration"]) == (1, 1, 0, revisions.head())
    assert stats["oldest_due_age"] >= 3600
    assert health.status == 1
    assert [(check["check"], check["ok"]) for check in health.json] == [
        *(("database", True), ("migrations", True), ("workers", False), ("lag", False)),
    ]
    assert well.status == 0


def test_a_purge_leaves_what_a_job_of_its_flow_waits_for(dsn: str, conn: Conn) -> None:
    flow = '{"kind": "dag", "jobs": [{"task": "t"}, {"task": "t", "after": [0], "on_failure": "wait"}]}'
    conn.execute("select pgqueue.enqueue_flow(%s)", [flow])
    worker = Worker(conn)
    worker.settle(worker.claim_one().outcome("dead", error={"type": "E", "message": "m"}))
    kill(conn)

    plan = pgq("dlq", "purge", "--dry-run", "--json", PGQ_DSN=dsn).json
    purged = pgq("dlq", "purge", "--yes", "--json", PGQ_DSN=dsn)

    assert [row["jobs"] for row in plan] == [1]
    assert (purged.status, purged.json) == (0, {"deleted": 1})
    assert rows(conn, "dead_jobs") == 1


def test_workers_show_who_is_stuck_and_where_it_stood(dsn: str, conn: Conn) -> None:
    conn.execute("select pgqueue.register_worker(7, 'box', 9, '{default}', '{fine}', 10, '15 s')")
    conn.execute(
        "select pgqueue.note_incident(7, 'box', 9, 'loop_blocked', '{3}', 'it does not turn',"
        ' $$  File "shop.py", line 3, in wait\n\x1b[31m$$)'
    )

    listed = pgq("workers", PGQ_DSN=dsn).out
    (document,) = pgq("workers", "--json", PGQ_DSN=dsn).json
    shown = pgq("workers", "--stacks", "7", PGQ_DSN=dsn).out
    nobody = pgq("workers", "--stacks", "8", PGQ_DSN=dsn).out

    assert "loop_blocked" in listed
    assert (document["stuck"], document["incident"]) == ("loop_blocked", "loop_blocked")
    assert "loop_blocked worker 7 (box, pid 9, jobs 3): it does not turn\n" in shown
    assert '    File "shop.py", line 3, in wait\n    \\x1b[31m\n' in shown.replace("      File", "    File")
    assert "nothing of worker 8" in nobody
    assert len(pgq("workers", "--stacks", "0", "--json", PGQ_DSN=dsn).json) == 1


def test_health_of_an_unreachable_database_is_a_failed_check() -> None:
    result = pgq("health", "--dsn", "host=127.0.0.1 port=1")

    assert result.status == 1
    assert "database  FAILED" in result.out


@pytest.mark.parametrize("words", [("--json", "jobs", "ls"), ("jobs", "--json", "ls"), ("jobs", "ls", "--json")])
def test_global_options_stand_before_and_after_the_command(dsn: str, words: tuple[str, ...]) -> None:
    assert pgq(*words, PGQ_DSN=dsn).json == []


def test_the_line_wins_over_the_variable(dsn: str) -> None:
    assert pgq("--dsn", dsn, "jobs", "ls", "--json", PGQ_DSN="host=/nowhere").json == []


def test_a_flag_has_a_variable(dsn: str) -> None:
    pgq("enqueue", "t", "--many", "-", stdin="{}\n" * 3, PGQ_DSN=dsn)

    assert len(pgq("jobs", "ls", PGQ_DSN=dsn, PGQ_JSON="1", PGQ_JOBS_LS_LIMIT="2").json) == 2


def terminal(*words: str, **variables: str) -> str:
    """What a command shows on a terminal."""
    screen, slave = pty.openpty()
    subprocess.run([*PGQ, *words], stdout=slave, env=environment(TERM="xterm", **variables), check=True)
    os.close(slave)
    shown = os.read(screen, 65536).decode()
    os.close(screen)
    return shown


def test_a_terminal_gets_a_table_and_a_pipe_plain_text(dsn: str) -> None:
    pgq("enqueue", "t", PGQ_DSN=dsn)

    shown = terminal("jobs", "ls", PGQ_DSN=dsn)
    piped = pgq("jobs", "ls", PGQ_DSN=dsn).out

    assert "\u2500" in shown
    assert "\x1b[" in shown
    assert piped.isascii()
    assert "\x1b" not in piped


def test_work_runs_what_was_enqueued(dsn: str, tmp_path: Path) -> None:
    tmp_path.joinpath("shop.py").write_text(APP)
    fine = pgq("enqueue", "fine", "--args", '{"n": 5}', PGQ_DSN=dsn).out.strip()
    bad = pgq("enqueue", "bad", "--args", '{"n": 6}', PGQ_DSN=dsn).out.strip()

    worked = pgq("work", "shop", "--burst", "--log-format", "json", cwd=tmp_path, PGQ_DSN=dsn)

    assert worked.status == 0, worked.err
    assert all(json.loads(line) for line in worked.err.splitlines())
    done = pgq("jobs", "show", fine, "--json", PGQ_DSN=dsn).json
    assert (done["state"], done["result"]) == ("succeeded", 5)
    shown = pgq("jobs", "show", bad, PGQ_DSN=dsn).out
    assert "ValueError: no 6" in shown
    assert "Traceback (most recent call last)" in shown


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder for a private server, where the user who runs PostgreSQL for root can get to."""
    parent = Path(tempfile.mkdtemp(prefix="pgq-cli-"))
    parent.chmod(0o755)
    yield parent / "server"
    wait_until(lambda: watchdog.postmaster(parent / "server" / "data") is None, 20)
    shutil.rmtree(parent)


def test_two_terminals_share_a_private_server(home: Path, tmp_path: Path) -> None:
    here = {"PGQ_DSN": f"embedded:{home}"}
    tmp_path.joinpath("shop.py").write_text(APP)
    migrated = pgq("migrate", **here)
    assert migrated.out.startswith("applied"), migrated.err

    with subprocess.Popen([*PGQ, "work", "shop"], cwd=tmp_path, env=environment(**here)) as worker:
        job_id = pgq("enqueue", "fine", "--args", '{"n": 5}', **here).out.strip()
        wait_until(lambda: pgq("jobs", "show", job_id, "--json", **here).json["state"] == "succeeded", 30)
        worker.send_signal(signal.SIGINT)

    assert worker.returncode == 0
