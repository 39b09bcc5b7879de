"""A queue in the middle of its life, for pages to show: every state, and hostile text wherever a user or a job can
put one."""

import json
from typing import TYPE_CHECKING, Any

from tests.sql.engine import Worker, enqueue, scalar

if TYPE_CHECKING:
    import psycopg

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}"
SECRET = "hunter2-canary"  # never on a page: it stands where the masks look


def fill(conn: "psycopg.Connection[Any]", *, mark: str = "") -> dict[str, Any]:
    """Fill a database and return what is in it by name. `mark` goes into every text that somebody else controls."""
    queue, task, key, group = f"mail{mark}", f"send{mark}", f"key-1{mark}", f"group-1{mark}"
    args = {"user": f"ada{mark}", "password": SECRET, "nested": {"api_token": SECRET, "plain": f"shown{mark}"}}
    meta = {"trace": f"t-1{mark}", "authorization": f"Bearer {SECRET}"}
    options: dict[str, Any] = {"queue": queue, "args": args, "meta": meta}
    worker = Worker(conn, queues=[queue, "default"], tasks=[task, "t"], lease="1 h")
    conn.execute("update pgqueue.worker_processes set host = %s where id = %s", (f"host-1{mark}", worker.id))
    error = {
        "type": f"ValueError{mark}",
        "message": f"no such user{mark} password={SECRET}",
        "traceback": f"Traceback: line 1{mark}\n  token: {SECRET}\n",
    }
    ids = {name: enqueue(conn, task, **options) for name in ("succeeded", "dead", "dead_2", "failed", "running")}
    leases = {lease.id: lease for lease in worker.step(queue=queue).leases}
    told = [
        leases[ids["succeeded"]].outcome("succeeded", result={"sent": f"yes{mark}", "secret": SECRET}),
        *(leases[ids[name]].outcome("dead", error=error) for name in ("dead", "dead_2")),
        leases[ids["failed"]].outcome("failed", error=error, delay=3600),
    ]
    worker.step(0, queue=queue, outcomes=told)
    running = leases[ids["running"]]
    report = {"id": running.id, "token": running.token, "fraction": 0.4, "note": f"half{mark}"}
    conn.execute("select pgqueue.report_progress(%s::jsonb)", (json.dumps([report]),))
    ids["ready"] = enqueue(conn, task, key=key, **options)
    ids["grouped"] = enqueue(conn, task, group_key=group, **options)
    ids["behind"] = enqueue(conn, task, group_key=group, **options)
    ids["scheduled"] = enqueue(conn, task, delay="1 hour", **options)
    ids["cancelled"] = enqueue(conn, task, **options)
    conn.execute("select pgqueue.cancel(%s)", (ids["cancelled"],))
    entries = [
        {"name": f"first{mark}", "task": task, "queue": queue, "args": args},
        {"name": f"second{mark}", "task": task, "queue": queue, "args": args, "after": [0]},
    ]
    flow = {"kind": "dag", "name": f"flow{mark}", "jobs": entries}
    ids["flow"] = scalar(conn, "select flow_id from pgqueue.enqueue_flow(%s::jsonb) limit 1", json.dumps(flow))
    conn.execute("select pgqueue.set_limit(%s, concurrency => 2)", (f"limit{mark}",))
    conn.execute(
        "select pgqueue.schedule(%s, %s, '0 2 * * *', queue => %s, args => %s::jsonb)",
        (f"nightly{mark}", task, queue, json.dumps(args)),
    )
    conn.execute(
        "select pgqueue.note_action(%s, 'admin', 'queue.pause', %s, %s::jsonb)",
        (f"ada{mark}", f"queue {queue}", json.dumps({"note": f"n{mark}"})),
    )
    names = {"queue": queue, "task": task, "key": key, "group": group, "limit": f"limit{mark}"}
    return ids | names | {"schedule": f"nightly{mark}", "worker": worker.id}
