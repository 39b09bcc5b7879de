"""Scores that are asked of a credit bureau, which takes 50 requests a second from each of its customers.

The limit is told to pgqueue once; all workers together keep to it, for each of the bureau's keys by itself. A job that
has to wait takes no room in a worker.
"""

from __future__ import annotations

import os
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from pgqueue import Exponential
from pgqueue.demo import bureau
from pgqueue.demo.bureau import Bureau
from pgqueue.demo.checks import Check
from pgqueue.demo.company import app
from pgqueue.demo.stage import Chapter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from pgqueue.demo.stage import Stage

PORT = "PGQ_DEMO_BUREAU_PORT"
LIMIT = "scores"
BURST = 5

app.limit(LIMIT, rate=bureau.PER_SECOND, per=timedelta(seconds=1), burst=BURST)


@app.task(
    queue="api",
    max_attempts=30,
    backoff=Exponential(first=timedelta(milliseconds=200), maximum=timedelta(seconds=1)),
    timeout=timedelta(seconds=10),
)
def fetch_score(person: str, api_key: str) -> int:
    """Ask for a person's score. A plain function: it runs in a thread."""
    server = HTTPConnection("127.0.0.1", int(os.environ[PORT]), timeout=5)
    try:
        server.request("GET", f"/scores/{person}", headers={"X-Api-Key": api_key})
        answer = server.getresponse()
        body = answer.read()
    finally:
        server.close()
    if answer.status != HTTPStatus.OK:
        raise ConnectionRefusedError(f"the bureau answered {answer.status} {answer.reason}")
    return int(body)


# The chapter.

CARELESS, CAREFUL = 100, 200
WITNESSES = """
create table demo.api_log (
  api_key text not null, person text not null, status integer not null, score integer,
  at_seconds double precision not null);
"""

CHECKS = (
    Check(
        "Without the limit the server refuses: its meter works",
        """
        select count(*) filter (where status = 429) > 0,
               format('%s requests, of which it refused %s with 429', count(*), count(*) filter (where status = 429))
        from demo.api_log where api_key = 'careless'""",
    ),
    Check(
        "With it not one request was refused, from two processes; the rate is used",
        """
        select count(*) >= 200 and bool_and(status = 200) and count(distinct person) = 200
                 and (count(*) - 1) / (max(at_seconds) - min(at_seconds)) between 25 and 55,
               format('%s requests by %s processes, %s violations; %s a second from first to last, of the 50 allowed',
                      count(*), (select count(distinct worker_id) from pgqueue.jobs
                                 where queue = 'api' and args ->> 'api_key' = 'careful'),
                      count(*) filter (where status <> 200),
                      round(((count(*) - 1) / (max(at_seconds) - min(at_seconds)))::numeric, 1))
        from demo.api_log where api_key = 'careful'""",
    ),
    Check(
        "No second saw more jobs started, by the database's clock, than the rate and its burst allow",
        """
        select max(jobs) <= 50 + 5, format('at most %s starts in a second, of %s jobs', max(jobs), count(*))
        from (select count(*) over (order by started_at range between current row and interval '1 s' following) as jobs
              from pgqueue.jobs where queue = 'api' and args ->> 'api_key' = 'careful') w""",
    ),
    Check(
        "Each score that a job returned is the one that the server gave",
        """
        select count(*) > 0 and bool_and(j.state = 'succeeded' and coalesce(j.result = to_jsonb(l.score), false)),
               format('%s jobs, %s scores', count(*), count(l.score))
        from pgqueue.jobs j
        left join (select api_key, person, max(score) as score from demo.api_log where status = 200 group by 1, 2) l
          on l.api_key = j.args ->> 'api_key' and l.person = j.args ->> 'person'
        where j.queue = 'api'""",
    ),
)


class Scores(Chapter):
    """Asks as fast as it goes with one key, and within the limit with another."""

    tables = (WITNESSES,)
    checks = CHECKS

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._bureau = Bureau()

    def open(self, servers: ExitStack) -> Mapping[str, str]:
        """Start the bureau."""
        return {PORT: str(servers.enter_context(self._bureau).port)}

    def begin(self) -> None:
        """Enqueue."""
        careless = [fetch_score.job(f"person-{number}", "careless") for number in range(CARELESS)]
        careful = fetch_score.using(limits={LIMIT: "careful"})
        app.enqueue_many(careless, conn=self.stage.conn)
        app.enqueue_many(
            [careful.job(f"person-{number}", "careful") for number in range(CAREFUL)], conn=self.stage.conn
        )
        self.stage.show.say(
            f"api: {CARELESS} requests at once without a limit; {CAREFUL} within {bureau.PER_SECOND} a second"
        )

    def go_on(self) -> bool:
        """Look how many requests were answered."""
        self.stage.show.bar("scores within the limit", self._bureau.count("careful"), CAREFUL)
        return self._bureau.count("careful") < CAREFUL or self._bureau.count("careless") < CARELESS

    def testify(self) -> None:
        """Put the server's log where the checks can see it."""
        rows = [[r.key, r.person, r.status, r.score, r.at_seconds] for r in self._bureau.log]
        self.stage.put("insert into demo.api_log values (%s, %s, %s, %s, %s)", rows)
