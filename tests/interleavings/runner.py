"""Steps real connections through every order of their steps.

A session is one connection with a script: a list of steps, each a call on that connection. An order is a string of
letters, one for each step taken: "ABBA" lets A take a step, then B two, then A. A step that waits for a lock is known
by pg_blocking_pids; its session can take no further step until another has released it, so orders that cannot happen
are not in the tree that `orders` walks. Functions can be given places to pause at (`PAUSE`): going on from there is a
step as well, so that what happens between two statements of one function is walked through too. After each step
everything comes to rest before the next is chosen: the same letters always give the same history, and can be given
again.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.support.waiting import wait_until

Conn = psycopg.Connection[Any]
LETTERS = "ABC"
FIRST_LOOK_SECONDS = 0.004
LOOK_SECONDS = 0.001
STUCK_SECONDS = 10.0
REFUSED = "PQ"  # SQLSTATEs of our own: answers, not accidents
PAUSE = "perform weave.pause();"
PAUSING = """
create schema if not exists weave;
create or replace function weave.pause() returns void language plpgsql as $$
declare
  _who constant integer := nullif(current_setting('weave.session', true), '')::integer;
  _turn constant integer := coalesce(nullif(current_setting('weave.turn', true), '')::integer, 0);
begin
  if _who is not null then
    perform set_config('weave.turn', (1 - _turn)::text, false);
    perform pg_advisory_lock(_turn, _who);
    perform pg_advisory_unlock(_turn, _who);
  end if;
end $$
"""
REST = """
select bool_and(cardinality(b) > 0) and bool_or(not b <@ %(pids)s::integer[]),
       array_agg(p) filter (where pg_backend_pid() = any (b))
from unnest(%(pids)s::integer[]) p, pg_blocking_pids(p) b
"""
CUT = ("57P01", "08006", "08003", None)  # what a session sees that another has terminated


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a script. A `cut` ends the connection of the session with that letter, whatever it is doing."""

    name: str
    call: Callable[[Conn], Any] = lambda conn: None
    cut: str | None = None
    ends: bool = False  # it ends the transaction: it is taken also after an error


Script = Sequence[Step]


class Session:
    """A connection and a thread that takes steps on it."""

    def __init__(self, dsn: str, number: int) -> None:
        self._dsn = dsn
        self._number = number
        self._call: Callable[[], Any] | None = None
        self._wanted = threading.Semaphore(0)
        self.rested = threading.Event()
        self.rested.set()
        self.error: BaseException | None = None
        self._connect()
        threading.Thread(target=self._loop, daemon=True, name="interleaving").start()

    def _connect(self) -> None:
        self.conn = psycopg.connect(self._dsn, autocommit=True)
        self.conn.execute(
            f"set deadlock_timeout = '50ms'; set synchronous_commit = off; set weave.session = {self._number}"
        )
        self.pid = self.conn.info.backend_pid

    def _loop(self) -> None:
        while True:
            self._wanted.acquire()
            if self._call is None:
                return
            try:
                self._call()
            except BaseException as error:  # noqa: BLE001 - it is the conductor's, who judges it
                self.error = error
            self.rested.set()

    def take(self, call: Callable[[], Any]) -> None:
        """Begin a step; `rested` is set when it is over."""
        self.rested.clear()
        self._call = call
        self._wanted.release()

    def renew(self) -> None:
        """Be ready for the next order."""
        self.error = None
        try:
            self.conn.execute("rollback" if self.conn.info.transaction_status else "select")
        except psycopg.OperationalError:  # another session has cut it
            self.conn.close()
            self._connect()

    def close(self) -> None:
        self._call = None
        self._wanted.release()
        self.conn.close()


@dataclass(slots=True)
class History:
    """What an order came to."""

    order: str = ""
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)  # who could have taken each step
    waits: int = 0


class Conductor:
    """Takes the steps of scripts in a given order, and goes on with the first that can when the order is used up."""

    def __init__(self, dsn: str, watcher: Conn) -> None:
        self._watcher = watcher
        self._sessions = [Session(dsn, number) for number in range(len(LETTERS))]
        self._paused: set[Session] = set()
        watcher.execute(PAUSING)
        for number in range(len(LETTERS)):
            watcher.execute("select pg_advisory_lock(0, %(n)s), pg_advisory_lock(1, %(n)s)", {"n": number})

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def play(self, scripts: Sequence[Script], order: str = "") -> History:
        """Take all steps of all scripts."""
        history = History()
        todo = [list(script) for script in scripts]
        sessions = self._sessions[: len(scripts)]
        for session in sessions:
            session.renew()
        while True:
            able = [i for i, s in enumerate(sessions) if s in self._paused or (todo[i] and s.rested.is_set())]
            if not able:
                break
            choices = "".join(LETTERS[i] for i in able)
            at = len(history.order)
            letter = order[at] if at < len(order) else choices[0]
            assert letter in choices, f"{order!r} cannot happen: {letter} cannot take step {at}, only one of {choices}"
            history.order += letter
            history.choices.append(choices)
            who = LETTERS.index(letter)
            self._take(history, sessions, todo, who)
        wait_until(lambda: all(s.rested.is_set() for s in sessions), STUCK_SECONDS)
        return history

    def _take(self, history: History, sessions: list[Session], todo: list[list[Step]], who: int) -> None:
        going_on = sessions[who] in self._paused
        step = Step("goes on from its pause") if going_on else todo[who].pop(0)
        busy = [s for s in sessions if not s.rested.is_set()]
        if going_on:
            self._let_go(who, sessions)
        elif step.cut is not None:
            other = LETTERS.index(step.cut)
            self._watcher.execute("select pg_terminate_backend(%s, 5000)", [sessions[other].pid])
            todo[other].clear()
            sessions[other].rested.wait(STUCK_SECONDS)
        else:
            sessions[who].take(lambda: step.call(sessions[who].conn))
            self._come_to_rest(sessions)
        waits = not sessions[who].rested.is_set()
        history.waits += waits
        how = " (pauses)" if sessions[who] in self._paused else " (waits)" if waits else ""
        history.lines.append(f"{LETTERS[who]} {step.name}{how}")
        for other_session in busy:
            if other_session.rested.is_set():
                history.lines.append(f"{LETTERS[sessions.index(other_session)]} goes on")
        self._judge(history, sessions, todo)

    def _judge(self, history: History, sessions: list[Session], todo: list[list[Step]]) -> None:
        """Note errors; a session whose transaction failed goes straight to its end."""
        for i, session in enumerate(sessions):
            error = session.error
            if error is None or not session.rested.is_set():
                continue
            session.error = None
            state = getattr(error, "sqlstate", None)
            lost = session.conn.closed or session.conn.broken
            refused = isinstance(error, psycopg.Error) and (
                (state or "").startswith(REFUSED) or (lost and state in CUT)
            )
            history.lines.append(f"{LETTERS[i]} got {state or type(error).__name__}: {str(error).splitlines()[0]}")
            if not refused:
                history.errors.append(f"{state or type(error).__name__}: {error}")
            while todo[i] and (lost or not todo[i][0].ends):
                todo[i].pop(0)

    def _let_go(self, who: int, sessions: list[Session]) -> None:
        """Open the gate that a paused session stands at, and shut it behind it."""
        query = "select classid::integer from pg_locks where locktype = 'advisory' and pid = %s and not granted"
        row = self._watcher.execute(query, [sessions[who].pid]).fetchone()
        assert row is not None
        self._watcher.execute("select pg_advisory_unlock(%s, %s)", [row[0], who])
        self._paused.discard(sessions[who])
        self._come_to_rest(sessions)
        self._watcher.execute("select pg_advisory_lock(%s, %s)", [row[0], who])

    def _come_to_rest(self, sessions: list[Session]) -> None:
        """Return when each session has taken its step, or waits for a lock that one has who is at rest."""
        for session in sessions:
            if session not in self._paused:
                session.rested.wait(FIRST_LOOK_SECONDS)
        self._paused = set()

        def rests() -> bool:
            busy = [s for s in sessions if not s.rested.is_set()]
            if not busy:
                return True
            row = self._watcher.execute(REST, {"pids": [s.pid for s in busy]}).fetchone()
            assert row is not None
            if not row[0] or any(s.rested.is_set() for s in busy):
                return False
            self._paused = {s for s in busy if s.pid in (row[1] or ())}
            return True

        wait_until(rests, STUCK_SECONDS, poll=0)


def orders(play: Callable[[str], History]) -> Iterator[History]:
    """Play every order that can happen, each once, the leftmost first: depth first by the steps that were possible."""
    prefix = ""
    while True:
        history = play(prefix)
        yield history
        order = history.order
        at = len(order) - 1
        while at >= 0 and order[at] == history.choices[at][-1]:
            at -= 1
        if at < 0:
            return
        choices = history.choices[at]
        prefix = order[:at] + choices[choices.index(order[at]) + 1]
