# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Random flows and random histories: whatever ends, each node does what its links demand, once, and nothing waits for ever.

The links' meaning is told a second time here, in Python. After every verb the nodes that it changed are judged by it, and the
database's counts are compared with a recount.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.sql.engine import Conn, Lease, Worker, cancel, redrive, rescue, retry, scalar, sweep
from tests.sql.flows import add_to_flow, barrier, batch, cancel_flow, flow_ids, fold, nested_sagas, retry_flow, saga

BAD = ("dead", "cancelled")
CONDITIONS = ["succeeded"] * 4 + ["ended", "ended", "failed", "not_failed", "if_succeeded"]
VERBS = ["work"] * 6 + [
    "cancel",
    "cancel",
    "retry",
    "retry",
    "redrive",
    "lose",
    "cancel_flow",
    "retry_flow",
    "grow",
    "fold",
]
TABLES = ("queued_jobs", "dead_jobs", "finished_jobs", "job_attempts", "job_args", "worker_processes", "cancel_requests",
          "job_flows", "flow_nodes", "flow_links", "flow_deltas")  # fmt: skip


def random_dag(choice: random.Random) -> list[dict[str, Any]]:
    """Entries whose links point anywhere in the array, without a cycle."""
    size = choice.randint(1, 9)
    order = choice.sample(range(size), size)
    entries: list[dict[str, Any]] = [{} for _ in range(size)]
    for rank, place in enumerate(order):
        parents = choice.sample(order[:rank], min(rank, choice.choice([0, 1, 1, 2, 3])))
        links = [{"index": parent, "when": choice.choice(CONDITIONS)} for parent in parents]
        options = {"on_failure": choice.choice(["cancel", "cancel", "dead", "wait"]), "gather": choice.random() < 0.3}
        if choice.random() < 0.25:
            entries[place] = barrier(*links, **options, verdict=choice.random() < 0.5)
        else:
            entries[place] = {"after": links, **options}
    return entries


@dataclass(slots=True)
class Node:
    """A node's row, and the links to its parents."""

    row: dict[str, Any]
    links: list[tuple[int, str]] = field(default_factory=list)


class History:
    """One flow, what is done to it, and what is known of it."""

    def __init__(self, conn: Conn, choice: random.Random) -> None:
        self.conn = conn
        self.choice = choice
        for table in TABLES:
            conn.execute(f"delete from pgqueue.{table}")
        self.kind = choice.choice(["dag", "dag", "dag", "batch", "batch", "saga", "saga", "nested"])
        size = choice.randint(0, 5)
        entries = {
            "dag": lambda: random_dag(choice),
            "batch": lambda: batch(size),
            "saga": lambda: saga(size),
            "nested": lambda: nested_sagas(min(size, 3), choice.randint(0, 2)),
        }[self.kind]()
        if self.kind == "batch" and choice.random() < 0.5:
            entries[size]["gather"] = True
        self.flow, self.ids = flow_ids(conn, *entries, kind="chain" if self.kind == "nested" else self.kind)
        self.worker = Worker(conn)
        self.leases: dict[int, Lease] = {}
        self.undone: list[int] = []
        self.by_hand: set[int] = set()  # ended by a handler or an operator, or that may be
        self.ends: Counter[int] = Counter()
        self.grown = False
        self.nodes: dict[int, Node] = {}
        self.look()

    def read(self) -> dict[int, Node]:
        nodes = {row["id"]: Node(row) for (row,) in self.conn.execute("select to_jsonb(n) from pgqueue.flow_nodes n")}
        for child, parent, condition in self.conn.execute(
            "select child_id, parent_id, condition from pgqueue.flow_links"
        ):
            nodes[child].links.append((parent, condition))
        return nodes

    def judged(self, node: Node, nodes: dict[int, Node]) -> tuple[int, bool, bool, int]:
        """What a node's parents mean to it: how many have not ended, is it breached, is it to be skipped, failures it asks about."""
        ended = [(nodes[parent].row["outcome"], condition) for parent, condition in node.links]
        open_ = sum(outcome is None for outcome, _ in ended)
        breached = any(outcome in BAD and condition in ("succeeded", "not_failed") for outcome, condition in ended)
        missed = any(
            outcome is not None
            and (
                outcome != "succeeded"
                if condition == "if_succeeded"
                else condition == "succeeded" and outcome == "skipped"
            )
            for outcome, condition in ended
        )
        hits = sum(outcome in BAD and (condition == "failed" or node.row["verdict"]) for outcome, condition in ended)
        return open_, breached, missed, hits

    def look(self) -> None:
        """Judge every node that has changed since the last look, and recount those that wait."""
        nodes = self.read()
        deltas: Counter[int] = Counter()
        for child, pending in self.conn.execute("select child_id, pending from pgqueue.flow_deltas"):
            deltas[child] += pending
        for key, node in nodes.items():
            row, before = node.row, self.nodes.get(key)
            open_, breached, missed, hits = self.judged(node, nodes)
            asks = any(condition == "failed" for _, condition in node.links)
            well = open_ == 0 and not breached and not missed and (hits > 0 or not asks)
            if row["blocked"]:
                assert row["pending"] - deltas[key] == open_
                assert row["outcome"] is None
            if before and before.row["outcome"] == row["outcome"] and before.row["blocked"] == row["blocked"]:
                continue
            told = f"node {key}: {before and before.row} became {row}"
            if row["outcome"] is None:
                assert row["blocked"] or not node.links or well or key in self.by_hand, told
            elif row["is_job"] and (key in self.by_hand or row["outcome"] == "succeeded"):
                assert key in self.by_hand or row["outcome"] != "succeeded", told
            elif row["outcome"] == "succeeded":
                assert (well, row["verdict"] and hits > 0) == (True, False), told
            elif row["outcome"] == "skipped":
                assert missed or (asks and open_ == 0 and hits == 0), told
            elif row["outcome"] == "dead":
                assert (breached and row["on_failure"] == "dead") or (row["verdict"] and hits and open_ == 0), told
            else:
                assert (breached, row["on_failure"]) == (True, "cancel"), told
        self.nodes = nodes

    # Verbs.

    def pick(self) -> int | None:
        jobs = [key for key, node in self.nodes.items() if node.row["is_job"]]
        return self.choice.choice(jobs) if jobs else None

    def claim(self) -> None:
        for lease in [*self.worker.claim(self.choice.randint(1, 4)), *self.worker.claim_alone()]:
            assert lease.id not in self.leases
            node = self.nodes[lease.id]
            if lease.attempt == 1:
                open_, breached, missed, hits = self.judged(node, self.nodes)
                asks = any(condition == "failed" for _, condition in node.links)
                assert not node.row["blocked"]
                assert not (open_ or breached or missed or (asks and not hits)) or self.rerun, (
                    f"{lease.id} started too soon"
                )
            if node.row["role"] == "undo" and lease.id not in self.undone:
                assert all(
                    self.place(later) <= node.row["place"] or later in self.undone
                    for later in self.to_undo(self.end_of(node))
                ), "undone in the wrong order"
            self.leases[lease.id] = lease
            self.by_hand.add(lease.id)

    rerun = False  # parents may have run again after their child was let go

    def end_of(self, undo: Node) -> int:
        """The barrier that ends the saga of an undo."""
        return next(parent for parent, condition in undo.links if condition == "failed")

    def to_undo(self, end: int) -> list[int]:
        undos = [
            node
            for node in self.nodes.values()
            if node.row["role"] == "undo" and node.row["outcome"] != "skipped" and self.end_of(node) == end
        ]
        return [
            node.row["id"]
            for node in undos
            if any(self.nodes[p].row["outcome"] == "succeeded" for p, when in node.links if when == "if_succeeded")
            and node.row["outcome"] != "succeeded"
        ]

    def place(self, key: int) -> int:
        return int(self.nodes[key].row["place"])

    def settle(self, *outcomes: str) -> None:
        for lease in list(self.leases.values()):
            outcome = self.choice.choice(outcomes)
            if self.choice.random() < 0.3:
                continue
            del self.leases[lease.id]
            if self.choice.random() < 0.2 and outcome == "succeeded":
                assert self.worker.done(lease) == []
            else:
                assert self.worker.settle(lease.outcome(outcome)) == []
            assert self.worker.settle(lease.outcome("succeeded")) == [lease.id], "only once"
            if outcome == "succeeded":
                self.ends[lease.id] += 1
                if self.nodes[lease.id].row["role"] == "undo":
                    self.undone.append(lease.id)
            self.look()

    def work(self) -> None:
        self.claim()
        self.settle(
            "succeeded", "succeeded", "succeeded", "dead", "cancelled", "failed", "expired", "released", "snoozed"
        )

    def cancel(self) -> None:
        if (job := self.pick()) is not None:
            if self.nodes[job].row["outcome"] is None:
                self.by_hand.add(job)
            cancel(self.conn, job)

    def retry(self) -> None:
        failed = [key for key, node in self.nodes.items() if node.row["is_job"] and node.row["outcome"] in BAD]
        job = self.choice.choice(failed) if failed else self.pick()
        if job is None:
            return
        try:
            retry(self.conn, job)
        except psycopg.errors.DatabaseError as error:
            if error.sqlstate != "PQ003":
                raise
        else:
            self.again()

    def again(self) -> None:
        self.rerun = True
        self.by_hand = {key for key, node in self.nodes.items() if node.row["is_job"]}

    def redrive(self) -> None:
        if redrive(self.conn):
            self.again()

    def lose(self) -> None:
        self.worker.fall_silent()
        rescue(self.conn)
        self.leases.clear()
        self.worker = Worker(self.conn)

    def cancel_flow(self) -> None:
        if self.choice.random() < 0.3:
            self.by_hand |= {
                key for key, node in self.nodes.items() if node.row["is_job"] and node.row["role"] != "undo"
            }
            cancel_flow(self.conn, self.flow)

    def retry_flow(self) -> None:
        if retry_flow(self.conn, self.flow):
            self.again()

    def grow(self) -> None:
        if self.leases and self.kind not in ("saga", "nested") and len(self.nodes) < 30:
            lease = self.choice.choice(list(self.leases.values()))
            add_to_flow(
                self.conn,
                lease,
                {},
                {"after": [0], "on_failure": "wait"},
                {"after": [{"id": lease.id, "when": "ended"}]},
            )

    def fold(self) -> None:
        fold(self.conn)

    # The end.

    def drain(self) -> None:
        for _ in range(400):
            fold(self.conn)
            sweep(self.conn)
            self.look()
            self.claim()
            if not self.leases:
                break
            self.settle("succeeded")
        else:
            raise AssertionError("it does not come to an end")

    def check_end(self) -> None:
        stuck = {key for key, node in self.nodes.items() if node.row["outcome"] is None}
        for key in stuck:
            node = self.nodes[key]
            assert node.row["blocked"], f"{key} neither runs nor ends"
            _, breached, _, _ = self.judged(node, self.nodes)
            waits = breached and (node.row["on_failure"] == "wait" or node.row["patient"])
            assert waits or any(parent in stuck for parent, _ in node.links), f"{key} waits for nothing"
        assert scalar(self.conn, "select count(*) from pgqueue.flow_deltas") == 0
        places = Counter(row[0] for row in self.conn.execute("select id from pgqueue.jobs"))
        jobs = {key for key, node in self.nodes.items() if node.row["is_job"]}
        assert places == Counter(jobs), "every job in one place"
        states = dict(self.conn.execute("select id, state from pgqueue.jobs").fetchall())
        for key in jobs:
            outcome = self.nodes[key].row["outcome"]
            assert states[key] == {None: "blocked", "skipped": "cancelled"}.get(outcome, outcome)
            assert self.ends[key] == (outcome == "succeeded"), "once and no more"
        assert scalar(self.conn, "select count(*) from pgqueue.queued_jobs where run_at < 'infinity'") == 0
        for end in (
            {self.end_of(node) for node in self.nodes.values() if node.row["role"] == "undo"} if not self.rerun else ()
        ):
            undone = [undo for undo in self.undone if self.end_of(self.nodes[undo]) == end]
            assert undone == sorted(undone, key=self.place, reverse=True)
        if not self.rerun:
            self.check_sagas()

    def check_sagas(self) -> None:
        """What a step of a saga that failed has done is undone, unless somebody has ended the undo himself."""
        for undo in [node for node in self.nodes.values() if node.row["role"] == "undo"]:
            failed = self.nodes[self.end_of(undo)].row["outcome"] in BAD
            done = any(
                self.nodes[parent].row["outcome"] == "succeeded"
                for parent, when in undo.links
                if when == "if_succeeded"
            )
            if failed and done and undo.row["id"] not in self.by_hand:
                assert undo.row["outcome"] in ("succeeded", None), undo.row


def check_history(conn: Conn, start: int, verbs: list[str]) -> None:
    history = History(conn, random.Random(start))
    for verb in verbs:
        getattr(history, verb)()
        history.look()
    history.drain()
    history.check_end()


def check_random_flows(conn: Conn, examples: int, steps: int) -> None:
    conn.execute("set synchronous_commit = off")
    conn.execute("set client_min_messages = error")

    @seed(20261122)
    @settings(
        max_examples=examples, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck), database=None
    )
    @given(start=st.integers(0, 2**32), verbs=st.lists(st.sampled_from(VERBS), min_size=5, max_size=steps))
    def histories(start: int, verbs: list[str]) -> None:
        check_history(conn, start, verbs)

    histories()


@pytest.mark.timeout(300)
def test_i6_i13_i15_random_flows_do_what_their_links_demand_and_come_to_an_end(conn: Conn) -> None:
    check_random_flows(conn, examples=120, steps=25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("examples", [300, pytest.param(3000, marks=pytest.mark.nightly)])
def test_i6_i13_i15_many_random_flows_do_what_their_links_demand_and_come_to_an_end(conn: Conn, examples: int) -> None:
    check_random_flows(conn, examples=examples, steps=40)
