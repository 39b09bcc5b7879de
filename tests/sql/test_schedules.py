# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Schedules in SQL: how they are made and changed, and that a tick enqueues once, whoever ticks."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Background, Conn, Worker, column, job, scalar
from tests.support.waiting import wait_until

HOUR = timedelta(hours=1)


def schedule(conn: Conn, name: str = "s", **options: Any) -> str:
    """Make a schedule, hourly unless said otherwise."""
    given: dict[str, Any] = {
        "task": "t",
        **({} if {"cron", "every"} & options.keys() else {"every": "1 hour"}),
        **options,
    }
    names = "".join(f", {key} => %({key})s" for key in given)
    params = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in given.items()}
    return str(
        conn.execute(f"select pgqueue.schedule(%(name)s{names})".encode(), {"name": name, **params}).fetchall()[0][0]
    )


def row(conn: Conn, name: str = "s", table: str = "job_schedules") -> dict[str, Any]:
    query = f"select * from pgqueue.{table} where name = %s"
    (found,) = conn.cursor(row_factory=dict_row).execute(query.encode(), [name]).fetchall()
    return found


def clock(conn: Conn) -> datetime:
    found: datetime = scalar(conn, "select clock_timestamp()")
    return found.astimezone(UTC)


def tick(conn: Conn, *ticks: datetime, next_at: datetime | None = None, name: str = "s", **read: Any) -> int | None:
    """Tick as a worker that has just read the row does, unless `read` says what it has read."""
    was = {"since": row(conn, name)["since"], "expected": row(conn, name)["next_at"], **read}
    query = "select pgqueue.tick(%s, %s, %s, %s::timestamptz[], %s)"
    params = (name, was["since"], was["expected"], list(ticks), next_at or clock(conn) + HOUR)
    return scalar(conn, query, *params)  # type: ignore[no-any-return]


def ticks_of(conn: Conn, name: str = "s") -> list[tuple[datetime, int | None]]:
    return conn.execute(
        "select tick_at, job_id from pgqueue.schedule_ticks where schedule = %s order by 1", [name]
    ).fetchall()


def past(conn: Conn, *minutes: int) -> list[datetime]:
    now = clock(conn).replace(second=0, microsecond=0)
    return [now - timedelta(minutes=m) for m in minutes]


def test_i10_a_tick_enqueues_its_job_and_says_so_in_meta(conn: Conn) -> None:
    schedule(conn, args={"n": 7}, queue="mail", priority=-5, meta={"owner": "ops"})
    (at,) = past(conn, 3)

    assert tick(conn, at) == 1

    (job_id,) = column(conn, "select id from pgqueue.jobs")
    made = job(conn, job_id)
    assert (made["task"], made["args"], made["queue"], made["priority"], made["state"]) == (
        "t",
        {"n": 7},
        "mail",
        -5,
        "ready",
    )
    assert made["meta"] == {"owner": "ops", "schedule": "s", "tick": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert ticks_of(conn) == [(at, job_id)]
    shown = row(conn, table="schedules")
    assert (shown["last_at"], shown["last_job_id"], shown["next_at"] > clock(conn)) == (at, job_id, True)


def test_the_limits_of_a_schedule_hold_for_its_jobs(conn: Conn) -> None:
    conn.execute("insert into pgqueue.limit_rules (name, concurrency) values ('api', 1)")
    schedule(conn, limits={"api": "acme"})

    tick(conn, *past(conn, 5))
    scalar(conn, "select pgqueue.run_schedule('s')")

    assert column(conn, "select gates -> 'limits' ? 'api' from pgqueue.job_args") == [True, True]


def test_a_tick_between_two_seconds_is_told_exactly(conn: Conn) -> None:
    schedule(conn)
    at = past(conn, 1)[0] + timedelta(microseconds=250)

    tick(conn, at)

    (meta,) = column(conn, "select meta from pgqueue.jobs")
    assert datetime.fromisoformat(meta["tick"]) == at


def test_i10_what_was_read_must_still_hold(conn: Conn) -> None:
    schedule(conn)
    one, two, three = past(conn, 30, 20, 10)
    assert tick(conn, one, next_at=two) == 1

    assert tick(conn, one, next_at=two, expected=None) is None  # read before the first tick
    assert tick(conn, two, next_at=three, expected=three) is None
    assert tick(conn, two, next_at=three, since=clock(conn)) is None
    scalar(conn, "select pgqueue.pause_schedule('s')")
    assert tick(conn, two, next_at=three, expected=None) is None
    assert scalar(conn, "select count(*) from pgqueue.jobs") == 1


def test_i10_of_two_that_tick_at_once_one_does(conn: Conn, connect: Connect) -> None:
    schedule(conn)
    first, second = connect(autocommit=False), connect()
    read = {"since": row(conn)["since"], "expected": None}
    (at,) = past(conn, 5)

    assert tick(first, at, **read) == 1
    assert Background(second, lambda: tick(second, at, **read)).result() is None  # it does not even wait
    first.commit()
    assert tick(second, at, **read) is None

    assert len(ticks_of(conn)) == scalar(conn, "select count(*) from pgqueue.jobs") == 1


def test_i10_who_dies_before_the_commit_leaves_the_tick_to_the_next(conn: Conn, connect: Connect) -> None:
    schedule(conn)
    dying = connect(autocommit=False)
    (at,) = past(conn, 5)
    assert tick(dying, at) == 1
    dying.close()

    wait_until(lambda: tick(conn, at) == 1)
    assert len(ticks_of(conn)) == scalar(conn, "select count(*) from pgqueue.jobs") == 1


def test_i10_a_next_at_that_went_back_does_not_repeat_a_tick(conn: Conn) -> None:
    schedule(conn)
    one, two, three = past(conn, 30, 20, 10)
    tick(conn, one, two, next_at=three)
    conn.execute("update pgqueue.job_schedules set next_at = %s", [one])

    assert tick(conn, one, two, three) == 1

    assert [at for at, _ in ticks_of(conn)] == [one, two, three]
    assert scalar(conn, "select count(*) from pgqueue.jobs") == 3


def test_i10_the_primary_key_is_the_last_word(conn: Conn, refused: Refused) -> None:
    schedule(conn)
    (at,) = past(conn, 3)
    tick(conn, at)

    with refused("23505"):
        conn.execute("insert into pgqueue.schedule_ticks (schedule, tick_at) values ('s', %s)", [at])

    assert [tick_at for tick_at, _ in ticks_of(conn)] == [at]


def test_i7_a_tick_of_the_future_is_refused_and_so_is_disorder(conn: Conn, refused: Refused) -> None:
    schedule(conn)
    one, two = past(conn, 30, 20)

    for ticks, next_at in (
        ([clock(conn) + HOUR], clock(conn) + 2 * HOUR),
        ([two, one], None),
        ([one, one], None),
        ([one, two], two),
    ):
        with refused("PQ004"):
            tick(conn, *ticks, next_at=next_at)

    assert ticks_of(conn) == []
    with conn.transaction():
        conn.execute("select set_config('pgq.fast_forward', 'on', true)")
        assert tick(conn, clock(conn) + HOUR, next_at=clock(conn) + 2 * HOUR) == 1
    assert column(conn, "select state from pgqueue.jobs") == ["ready"]


def test_jobs_that_the_database_does_not_take_leave_the_tick_as_it_was(conn: Conn, refused: Refused) -> None:
    schedule(conn, args={"text": "x" * 200})
    conn.execute("update pgqueue.settings set max_args_bytes = 100")
    conn.execute(
        "update pgqueue.job_schedules set args = jsonb_build_object('text', (select string_agg(md5(n::text), '') from generate_series(1, 5000) n))"
    )
    (at,) = past(conn, 3)

    with refused("PQ004"):
        tick(conn, at)

    assert (ticks_of(conn), row(conn)["next_at"]) == ([], None)


def test_overlap_skip_leaves_ticks_out_while_the_last_job_is_unfinished(conn: Conn, worker: Worker) -> None:
    schedule(conn, overlap="skip")
    one, two, three, four = past(conn, 40, 30, 20, 10)

    assert tick(conn, one, two, next_at=three) == 1
    lease = worker.claim_one()
    assert tick(conn, three, next_at=four) == 0  # it runs
    worker.done(lease)
    assert tick(conn, four) == 1

    assert [job_id is not None for _, job_id in ticks_of(conn)] == [True, False, False, True]
    assert row(conn)["last_at"] == four


def test_overlap_skip_waits_for_a_job_run_by_hand_too_and_not_for_a_dead_one(conn: Conn, worker: Worker) -> None:
    schedule(conn, overlap="skip")
    one, two, three = past(conn, 30, 20, 10)
    tick(conn, one, next_at=two)
    worker.settle(worker.claim_one().outcome("dead", error={"type": "E"}))
    by_hand = scalar(conn, "select pgqueue.run_schedule('s')")

    assert tick(conn, two, next_at=three) == 0
    worker.done(worker.claim_one())
    assert tick(conn, three) == 1
    assert job(conn, by_hand)["state"] == "succeeded"


def test_jitter_is_within_its_bounds_and_the_same_for_a_tick(conn: Conn) -> None:
    schedule(conn, jitter="1 hour")
    (at,) = past(conn, 0)
    found = set()
    for _ in range(2):
        tick(conn, at)
        (run_at,) = column(conn, "select run_at from pgqueue.jobs")
        assert at <= run_at <= max(at + HOUR, clock(conn))
        found.add(run_at)
        conn.execute("delete from pgqueue.queued_jobs")
        conn.execute("delete from pgqueue.schedule_ticks")
    assert len(found) == 1
    late = past(conn, 200)[0]
    tick(conn, late)
    assert column(conn, "select state from pgqueue.jobs") == ["ready"]  # its time has passed: due now, not backdated
    assert scalar(conn, "select run_at > now() - interval '1 minute' from pgqueue.jobs")


def test_run_now_is_no_tick(conn: Conn) -> None:
    schedule(conn, args={"n": 1})
    scalar(conn, "select pgqueue.pause_schedule('s')")
    before = row(conn)

    job_id = scalar(conn, "select pgqueue.run_schedule('s')")

    assert job(conn, job_id)["meta"] == {"schedule": "s"}
    assert (job(conn, job_id)["args"], ticks_of(conn)) == ({"n": 1}, [])
    assert row(conn) == {**before, "run_job_id": job_id}


def test_a_pause_forgets_the_next_tick_and_resume_begins_anew(conn: Conn) -> None:
    schedule(conn)
    tick(conn, *past(conn, 5))
    since = row(conn)["since"]

    assert [scalar(conn, "select pgqueue.pause_schedule('s')") for _ in range(2)] == [True, False]
    assert (row(conn, table="schedules")["paused"], row(conn)["next_at"]) == (True, None)
    assert [scalar(conn, "select pgqueue.resume_schedule('s')") for _ in range(2)] == [True, False]
    assert (row(conn, table="schedules")["paused"], row(conn)["since"] > since) == (False, True)


def test_schedule_makes_changes_and_leaves_alone(conn: Conn) -> None:
    assert schedule(conn, every="1 hour") == "created"
    tick(conn, *past(conn, 5))
    before = row(conn)
    assert schedule(conn, every="60 minutes") == "unchanged"
    assert row(conn) == before

    assert schedule(conn, every="1 hour", queue="mail", missed="all", missed_limit=5) == "changed"
    assert row(conn) == {**before, "queue": "mail", "missed": "all", "missed_limit": 5}  # its times go on

    assert schedule(conn, cron="0 2 * * *", timezone="Europe/Berlin") == "changed"
    after = row(conn)
    assert (after["next_at"], after["since"] > before["since"], after["every"], after["queue"]) == (
        None,
        True,
        None,
        "default",
    )
    assert after["last_at"] == before["last_at"]


def test_unschedule_takes_its_ticks_and_leaves_its_jobs(conn: Conn) -> None:
    schedule(conn)
    tick(conn, *past(conn, 5))

    assert [scalar(conn, "select pgqueue.unschedule('s')") for _ in range(2)] == [True, False]

    assert scalar(conn, "select count(*) from pgqueue.schedule_ticks") == 0
    assert column(conn, "select state from pgqueue.jobs") == ["ready"]


@pytest.mark.parametrize("verb", ["run_schedule", "pause_schedule", "resume_schedule"])
def test_an_unknown_schedule_is_an_error(conn: Conn, refused: Refused, verb: str) -> None:
    with refused("PQ004") as refusal:
        conn.execute(f"select pgqueue.{verb}('nobody')".encode())
    assert refusal.message == "there is no schedule 'nobody'"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": ""}, "name: must not be empty"),
        ({"name": "n" * 201}, "name: at most 200 bytes, got 201"),
        ({"task": ""}, "task: must not be empty"),
        ({"cron": "0 2 * * *", "every": "1 h"}, "give cron or every, one of them"),
        ({"cron": None}, "give cron or every, one of them"),
        ({"cron": ""}, "cron: must have"),
        ({"every": "0.5 s"}, "every: must be from 1 second"),
        ({"every": "-1 h"}, "every: must be from 1 second"),
        ({"every": "1 month"}, "months differ in length"),
        ({"cron": "@daily", "timezone": "Europe/Nowhere"}, 'time zone "Europe/Nowhere" not recognized'),
        ({"cron": "@daily", "timezone": None}, "timezone: must be a name"),
        ({"timezone": "Europe/Berlin"}, "belongs to cron"),
        ({"missed": "perhaps"}, "missed: must be skip, once or all, got 'perhaps'"),
        ({"missed_limit": 0}, "missed_limit: must be from 1 to 10000, got 0"),
        ({"overlap": "never"}, "overlap: must be allow or skip"),
        ({"jitter": "0"}, "jitter: must be from 1 millisecond"),
        ({"jitter": "1 year"}, "jitter: must be from 1 millisecond"),
        ({"queue": ""}, "queue: must not be empty"),
        ({"priority": 101}, "priority: must be from -100 to 100"),
        ({"priority": 40000}, "priority: must be from -100 to 100"),
        ({"args": "[1]"}, "args: must be a JSON object, got array"),
        ({"meta": "[1]"}, "meta: must be a JSON object, got array"),
        ({"meta": {"tick": 1}}, "meta: schedule and tick are set"),
        ({"limits": "7"}, "limits: must be names"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(conn: Conn, refused: Refused, options: dict[str, Any], said: str) -> None:
    with refused("PQ004") as refusal:
        schedule(conn, **{"name": "s", **options})

    assert refusal.message.startswith(f"schedule '{options.get('name', 's')[:200]}': ")
    assert said in refusal.message
    assert scalar(conn, "select count(*) from pgqueue.job_schedules") == 0


def declare(conn: Conn, *definitions: dict[str, Any]) -> list[tuple[str, str]]:
    full = [{"task": "t", "cron": "0 2 * * *", "timezone": "UTC", "missed": "once", **given} for given in definitions]
    return conn.execute("select name, verdict from pgqueue.declare_schedules(%s::jsonb)", [json.dumps(full)]).fetchall()


def test_what_an_operator_edits_stays_until_the_code_changes(conn: Conn) -> None:
    assert declare(conn, {"name": "b"}, {"name": "a"}) == [("a", "created"), ("b", "created")]
    assert declare(conn, {"name": "a"}, {"name": "b"}) == []
    schedule(conn, "a", cron="0 5 * * *", queue="slow")
    scalar(conn, "select pgqueue.pause_schedule('a')")

    assert declare(conn, {"name": "a"}, {"name": "b"}) == []
    assert (row(conn, "a")["cron"], row(conn, "a")["queue"]) == ("0 5 * * *", "slow")

    assert declare(conn, {"name": "a", "cron": "0 3 * * *"}) == [("a", "changed")]
    assert (row(conn, "a")["cron"], row(conn, "a")["queue"], row(conn, "a")["paused_at"] is None) == (
        "0 3 * * *",
        "default",
        False,
    )
    assert row(conn, "b")["cron"] == "0 2 * * *"  # code that disappears takes no schedule with it


def test_a_schedule_made_by_hand_becomes_the_codes_when_the_code_declares_it(conn: Conn) -> None:
    schedule(conn, "a", cron="0 2 * * *")
    assert row(conn, "a", "schedules")["in_code"] is False

    assert declare(conn, {"name": "a"}) == []
    assert row(conn, "a", "schedules")["in_code"] is True


def test_workers_that_declare_at_once_agree(conn: Conn, connect: Connect) -> None:
    first, second = connect(autocommit=False), connect()
    declare(first, {"name": "b"}, {"name": "a"})

    waiting = Background(second, lambda: declare(second, {"name": "a"}, {"name": "b"})).waits(conn)
    first.commit()

    assert waiting.result() == []


def test_an_error_is_shown_and_forgotten_with_the_next_change(conn: Conn) -> None:
    schedule(conn, cron="not cron")
    failed = "select pgqueue.schedule_failed('s', %s, null, 'cannot be read', '10 minutes')"
    assert scalar(conn, failed, clock(conn)) is False  # it has changed since
    assert scalar(conn, failed, row(conn)["since"]) is True
    assert row(conn, table="schedules")["error"] == "cannot be read"

    schedule(conn, cron="0 2 * * *")

    assert (row(conn)["error"], row(conn)["retry_at"]) == (None, None)


def test_the_view_has_the_contracts_columns_first(conn: Conn) -> None:
    names = [part.name for part in conn.execute("select * from pgqueue.schedules").description or ()]

    assert names[:7] == ["name", "task", "cron", "timezone", "paused", "last_at", "next_at"]


def test_schedules_are_transactional(conn: Conn) -> None:
    with conn.transaction(force_rollback=True):
        schedule(conn)
        scalar(conn, "select pgqueue.run_schedule('s')")
    assert (
        scalar(conn, "select count(*) from pgqueue.schedules") == scalar(conn, "select count(*) from pgqueue.jobs") == 0
    )


def test_in_a_stricter_isolation_a_lost_race_is_a_serialization_failure(conn: Conn, connect: Connect) -> None:
    schedule(conn)
    read = {"since": row(conn)["since"], "expected": None}
    (at,) = past(conn, 5)
    strict = connect(autocommit=False)
    strict.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    row(strict)
    tick(conn, at, **read)

    with pytest.raises(psycopg.errors.SerializationFailure):
        tick(strict, at, **read)
