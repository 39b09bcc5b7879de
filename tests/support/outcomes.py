"""What became of jobs, as the views show them."""

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import psycopg


class Jobs:
    """The jobs as the views show them."""

    def __init__(self, conn: "psycopg.Connection[Any]") -> None:
        self.conn = conn

    def __getitem__(self, job: Any) -> dict[str, Any]:
        row = self.conn.cursor(row_factory=dict_row).execute(
            "select * from pgqueue.jobs where id = %s", [getattr(job, "id", job)]
        )
        found = row.fetchone()
        assert found is not None
        return found

    def lose_workers(self) -> None:
        """Let all workers be silent for too long, and rescue their jobs; a rescue passes by one that claims at that
        moment, so it is tried until it found some.
        """
        stale = "update pgqueue.worker_processes set heartbeat_at = now() - interval '1 hour' where lost_at is null"

        def rescued() -> bool:
            with self.conn.transaction():  # one, so that no heartbeat comes in between
                self.conn.execute(stale)
                return bool(self.conn.execute("select jobs from pgqueue.rescue()").fetchall())

        wait_until(rescued)

    def attempts(self, job: Any) -> list[tuple[int, str]]:
        """(attempt, outcome), in order."""
        return self.conn.execute(
            "select attempt, outcome from pgqueue.attempts where job_id = %s order by attempt",
            [getattr(job, "id", job)],
        ).fetchall()

    def errors(self, job: Any) -> list[dict[str, Any] | None]:
        rows = self.conn.execute(
            "select error from pgqueue.attempts where job_id = %s order by attempt", [getattr(job, "id", job)]
        )
        return [error for (error,) in rows]

    def put(self, task: str, arguments: str = "{}", **options: Any) -> int:
        """Enqueue by SQL; its id."""
        names = "".join(f", {name} => %({name})s" for name in options)
        call = f"select pgqueue.enqueue(%(task)s, %(arguments)s::jsonb{names})"
        found = self.conn.execute(call.encode(), {"task": task, "arguments": arguments, **options})
        return int(found.fetchall()[0][0])

    def wait(self, job: Any, state: str, timeout: float = 15.0) -> dict[str, Any]:
        """The job once it is in this state."""
        last: dict[str, Any] = {}

        def arrived() -> bool:
            last.update(self[job])
            return bool(last["state"] == state)

        try:
            wait_until(arrived, timeout)
        except AssertionError:
            raise AssertionError(f"job is {last} with attempts {self.attempts(job)}, not {state}") from None
        return last

    def count(self, state: str) -> int:
        return int(self.conn.execute("select count(*) from pgqueue.jobs where state = %s", [state]).fetchall()[0][0])
