"""Commands that fail, or show what they were not asked to show contents of: no marked content and no password in what
they print, in the log, or in what the server shows of their connections. What somebody asks to see is shown.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.leaks.canaries import ALL, ARGS, KEY, META, PASSWORD, RAISED, Log, activity, found_in
from tests.leaks.shell import ADDRESSES, Shell

if TYPE_CHECKING:
    import psycopg

BAD_OBJECT = '{{"a": {}}}'.format
SECRET = f'{{"secret": "{ARGS}"}}'
LONE = f'{{"secret": "{ARGS}\\u0000"}}'
LINES = (
    '{"task": "t", "args": {"a": ' + ARGS,
    f'{{"task": "t", "args": ["{ARGS}"]}}',
    f'{{"task": "t", "args": {SECRET}, "meta": "{META}"}}',
    f'{{"task": "t", "args": {SECRET}, "priority": 101}}',
    f'{{"task": "t", "args": {LONE}}}',
    f'{{"task": "t", "args": {SECRET}, "key": "{KEY}", "key_policy": "raise"}}',
)

# What fails, or shows lists; {job}, {dead} and {held} are jobs with marked contents, {file} holds LINES.
COMMANDS = (
    ["enqueue", "t", "--args", BAD_OBJECT(ARGS)],
    ["enqueue", "t", "--args", f'["{ARGS}"]'],
    ["enqueue", "t", "--args", f'"{ARGS}"'],
    ["enqueue", "t", "--args", LONE],
    ["enqueue", "t", "--args", SECRET, "--meta", BAD_OBJECT(META)],
    ["enqueue", "t", "--args", SECRET, "--meta", f'["{META}"]'],
    ["enqueue", "t", "--args", SECRET, "--priority", "101"],
    ["enqueue", "t", "--args", SECRET, "--delay", "1x"],
    ["enqueue", "t", "--args", SECRET, "--run-at", "soon"],
    ["enqueue", "t", "--args", SECRET, "--key-policy", "perhaps", "--key", "k"],
    ["enqueue", "t" * 600, "--args", SECRET],
    ["enqueue", "t", "--args", SECRET, "--queue", "full"],
    ["enqueue", "t", "--args", SECRET, "--nope"],
    ["enqueue", "t", "--args", f'{{"secret": "{ARGS * 80_000}"}}'],
    *(["enqueue", "--many", f"{{file}}{number}"] for number in range(len(LINES))),
    ["schedules", "add", "s", "t", "--cron", "nonsense", "--args", SECRET],
    ["schedules", "add", "s", "t", "--every", "1s", "--args", f'["{ARGS}"]'],
    ["schedules", "add", "s", "t", "--every", "1s", "--args", SECRET, "--missed", "perhaps"],
    ["schedules", "run", "none"],
    ["schedules", "ls"],
    ["jobs", "show", "999999"],
    ["jobs", "retry", "999999"],
    ["jobs", "retry", "{held}"],
    ["jobs", "cancel", "999999"],
    ["jobs", "rm", "{job}"],
    ["jobs", "ls"],
    ["jobs", "ls", "--json"],
    ["why", "{job}"],
    ["dlq", "ls"],
    ["dlq", "ls", "--json"],
    ["dlq", "redrive", "--dry-run"],
    ["dlq", "redrive", "-y"],
    ["dlq", "purge", "--dry-run"],
    ["queues", "ls"],
    ["queues", "pause", "none"],
    ["limits", "set", "l", "--rate", "-1"],
    ["limits", "ls"],
    ["flows", "ls"],
    ["flows", "show", "999999"],
    ["workers"],
    ["stats"],
    ["health"],
    ["doctor"],
    ["grants"],
    ["grants", "--sql"],
    ["migrate", "--plan"],
    ["migrate", "--sql"],
    ["work", "no.such.module:app"],
    ["work", "tests.leaks.tasks:nothing"],
    ["jobs", "ls", "--schema", "pg_nothing"],
    ["jobs", "ls", "--schema", "nothing"],
    ["--debug", "jobs", "show", "999999"],
    ["--debug", "enqueue", "t", "--args", f'["{ARGS}"]'],
)

KILL = """
with gone as (delete from pgqueue.queued_jobs where id = %(id)s returning *),
  freed as (delete from pgqueue.job_keys where job_id = %(id)s)
insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, args_day, attempt, priority, failures, losses, suspect,
  queue, task, key, error, attempts)
select id, now(), run_at, created_at, args_day, 1, priority, 1, 0, false, queue, task, key, %(error)s, '[]' from gone"""


# Lists show keys, which are no contents, and what dead jobs died of; who enqueues is told which key is taken.
ASKED_FOR = {"jobs": (KEY, RAISED), "dlq": (KEY, RAISED), "--many": (KEY,)}
PLACE = re.compile(r"\{(job|held|file)\}")


def fill(conn: "psycopg.Connection[Any]") -> dict[str, int]:
    """Jobs with marked contents: one that waits, a dead one whose key another holds, one behind a limit."""
    put = "select pgqueue.enqueue('t', %s::jsonb, meta => %s::jsonb, key => %s, queue => %s)"

    def enqueue(key: str, queue: str) -> int:
        return int(conn.execute(put, [SECRET, f'{{"m": "{META}"}}', key, queue]).fetchall()[0][0])

    job = enqueue("other", "full")
    conn.execute("select pgqueue.set_queue('full', max_depth => 1)")
    dead = enqueue("gone", "q")
    conn.execute(KILL, {"id": dead, "error": f'{{"type": "ValueError", "message": "{RAISED}"}}'})
    enqueue(KEY, "q")
    conn.execute("update pgqueue.dead_jobs set key = %s where id = %s", [KEY, dead])
    return {"job": job, "held": dead}


def test_no_command_shows_contents_that_it_was_not_asked_for(
    secret_dsn: str, conn: "psycopg.Connection[Any]", shell: Shell, log: Log, tmp_path: Path
) -> None:
    jobs = fill(conn)
    for number, line in enumerate(LINES):
        tmp_path.joinpath(f"{number}").write_text(line + "\n")
    seen: dict[str, list[str]] = {}
    failed = 0

    for words in COMMANDS:
        made = [word.format(**jobs, file=f"{tmp_path}/") if PLACE.match(word) else word for word in words]
        status, printed = shell(*made)
        failed += status != 0
        allowed = ASKED_FOR.get(words[0] if "--many" not in words else "--many", ())
        if found := found_in(printed, tuple(canary for canary in ALL if canary not in allowed)):
            seen[" ".join(words)[:80]] = found

    assert seen == {}
    assert found_in(log.text) == []
    assert found_in(activity(conn)) == []
    assert failed > len(COMMANDS) / 2


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("words", [("jobs", "ls"), ("migrate",), ("--debug", "stats"), ("doctor",)], ids=" ".join)
def test_no_command_shows_the_password_of_an_address(
    no_pgq_variables: None, shell: Shell, log: Log, words: tuple[str, ...], address: str
) -> None:
    status, printed = shell(*words, "--dsn", address)

    assert status != 0
    assert found_in(printed) == []
    assert found_in(log.text) == []


def test_what_is_asked_for_is_shown(secret_dsn: str, conn: "psycopg.Connection[Any]", shell: Shell) -> None:
    jobs = fill(conn)

    status, printed = shell("jobs", "show", str(jobs["job"]))

    assert status == 0
    assert ARGS in printed
    assert META in printed
    assert PASSWORD not in printed
