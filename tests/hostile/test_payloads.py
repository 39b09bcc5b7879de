"""Any JSON object goes through enqueue, database, handler and result, and comes back equal and of the same types; what
JSON or PostgreSQL would change is refused by the call. (-0.0 comes back as 0.0, which is equal: numeric has no other.)
"""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgqueue import App, codec
from pgqueue.codec import MAX_DEPTH
from pgqueue.errors import ArgumentError

if TYPE_CHECKING:
    import psycopg

    from tests.worker.conftest import Start

# The worker runs in this process, and uses random while examples are drawn.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
Task = Any
BOUNDED = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
IN_TIME = timedelta(seconds=20)

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
NUMBERS = (
    st.integers()
    | st.sampled_from([2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**18, 10**19, -(10**400), 10**4299])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([-0.0, 0.0, 1e308, -1.7976931348623157e308, 5e-324, 1e16, 1e15, 1e22, 0.1, 9007199254740993.0])
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
KEYS = TEXTS | st.sampled_from(
    ["", " ", "self", "ctx", "args", "kwargs", "conn", "fields", "\x01", "\U0010ffff", "__proto__"]
)
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=15)
OBJECTS = st.dictionaries(KEYS, PLAIN, max_size=6)


@st.composite
def deep(draw: st.DrawFn) -> Any:
    """A scalar as deep as an argument may be: the object of the arguments is one level."""
    value = draw(SCALARS)
    for _ in range(draw(st.integers(MAX_DEPTH - 5, MAX_DEPTH - 1))):
        value = {draw(st.sampled_from(["", "a"])): value} if draw(st.booleans()) else [value]
    return value


PAYLOADS = OBJECTS | deep().map(lambda value: {"value": value})
UNSTORABLE = st.sampled_from(
    [math.nan, math.inf, -math.inf, "\x00", "a\x00b", "\ud800", "a\udfff", b"bytes", {1, 2}, object(), 1j, 10**4300]
) | st.sampled_from([{1: 1}, {None: 1}, {"\x00": 1}, {"\ud800": 1}, {b"k": 1}])


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down; order of keys is not kept by jsonb."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.fixture(params=["json", "orjson"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read with the standard library, and with orjson."""
    if request.param == "json":
        monkeypatch.setattr(codec, "_fast", None)
    elif codec._fast is None:
        pytest.skip("orjson is not installed: the extra speed")
    return str(request.param)


class Echo:
    """Tasks that note what arrived, and return it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.arrived: dict[int, Any] = {}

        @app.task(name="echo.async")
        async def plain(ctx: Any, /, **fields: Any) -> Any:
            self.arrived[ctx.job.id] = fields
            return fields

        @app.task(name="echo.thread")
        def threaded(ctx: Any, /, **fields: Any) -> Any:
            self.arrived[ctx.job.id] = fields
            return fields

        self.tasks: tuple[Task, ...] = (plain, threaded)

    def check(self, payload: dict[str, Any]) -> None:
        """Send it in each way, to each kind of handler."""
        handles = [task.enqueue(**payload) for task in self.tasks]
        handles += self.app.enqueue_many([task.using(meta=payload).job(**payload) for task in self.tasks])
        handles += asyncio.run(self._asend(payload))
        for handle in handles:
            result = handle.result(timeout=IN_TIME)
            assert same(self.arrived.pop(handle.id), payload)
            assert same(result, payload)

    async def _asend(self, payload: dict[str, Any]) -> list[Any]:
        async with self.app:
            one = await self.tasks[0].aenqueue(**payload)
            many = await self.app.aenqueue_many([self.tasks[0].job(**payload)])
            assert same(await one.aresult(timeout=IN_TIME), payload)
        return [one, *many]


@pytest.fixture
def echo(app: App, start: "Start", reader: str) -> Echo:
    made = Echo(app)
    start(app, threads=4)
    return made


def test_any_object_arrives_and_comes_back_exactly(echo: Echo) -> None:
    BOUNDED(given(PAYLOADS)(echo.check))()


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_very_many_objects_arrive_and_come_back_exactly(echo: Echo) -> None:
    MANY(given(PAYLOADS)(echo.check))()


@pytest.fixture
def refusal(app: App, conn: "psycopg.Connection[Any]") -> Callable[[Any], None]:
    """Check that a payload is refused by each way to send it, before any SQL: the caller's transaction goes on."""

    @app.task(name="anything")
    async def anything(**fields: Any) -> None: ...

    def check(value: Any) -> None:
        bad = {"a": {"b": [1, value]}}
        with conn.transaction():
            for attempt in (
                lambda: anything.using(conn=conn).enqueue(**bad),
                lambda: app.enqueue_many([anything.job(a=1), anything.job(**bad)], conn=conn),
                lambda: anything.using(conn=conn, meta=bad).enqueue(),
                lambda: anything.encode_result(bad),
            ):
                with pytest.raises(ArgumentError, match=r"\bb\[1\]|anything"):
                    attempt()
            assert conn.execute("select count(*) from pgqueue.jobs").fetchone() == (0,)

    return check


def test_what_cannot_be_stored_exactly_is_refused_by_the_call(refusal: Callable[[Any], None]) -> None:
    settings(BOUNDED, max_examples=60)(given(UNSTORABLE)(refusal))()


def test_one_level_too_deep_is_refused_by_the_call(refusal: Callable[[Any], None]) -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]

    refusal(value)
