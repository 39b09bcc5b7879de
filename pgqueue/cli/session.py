"""The database of one command: connected to when first asked for, checked for its schema, closed at the end."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pgqueue.dsn import EMBEDDED, redact, resolve
from pgqueue.errors import ConfigError, DatabaseUnavailable, InvalidArgument, MigrationsPending
from pgqueue.schema import DEFAULT, identifier, valid_schema
from pgqueue.statements import statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from pgqueue.calls import Call

T = TypeVar("T")
CONNECT_SECONDS = 10
_NOTHING: "Mapping[str, Any]" = {}


class Session:
    """What a command works with: its database, and whether it speaks JSON."""

    def __init__(self, dsn: str | None, schema: str | None, *, as_json: bool = False) -> None:
        self.schema = valid_schema(schema or DEFAULT)
        self.as_json = as_json
        self.debug = False
        self.given_dsn = dsn
        self._dsn: str | None = None
        self._conn: psycopg.Connection[Any] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def dsn(self) -> str:
        """The DSN to connect with. The server of `embedded:PATH` runs at least until the command ends."""
        if self._dsn is None:
            named = resolve(self.given_dsn)
            if named.startswith(EMBEDDED):
                from pgqueue.embedded import shared

                named = self._stack.enter_context(shared(named.removeprefix(EMBEDDED)))
            self._dsn = named
        return self._dsn

    @property
    def conn(self) -> "psycopg.Connection[Any]":
        """A connection to a migrated database, autocommit. Raises DatabaseUnavailable, MigrationsPending."""
        if self._conn is None:
            conn = self.connect()
            self._check_schema(conn)
            self._conn = conn
        return self._conn

    def connect(self) -> "psycopg.Connection[Any]":
        """Open a connection, whatever the database holds; closed with the command."""
        import psycopg
        from psycopg.rows import dict_row
        from psycopg.types.json import set_json_loads

        from pgqueue.codec import loads

        options: dict[str, Any] = {} if "connect_timeout" in self.dsn else {"connect_timeout": CONNECT_SECONDS}
        try:
            conn = psycopg.connect(
                self.dsn,
                autocommit=True,
                prepare_threshold=None,
                row_factory=dict_row,
                fallback_application_name="pgq",
                **options,
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"cannot connect to {shown(self.dsn)}: {_first_failure(str(error))}") from error
        set_json_loads(loads, conn)
        self._stack.callback(conn.close)
        return conn

    def rows(
        self, name: str, params: "Mapping[str, Any]" = _NOTHING, *, package: str = "pgqueue.cli"
    ) -> list[dict[str, Any]]:
        """Run the statement `sql/NAME.sql` and return its rows. Raises InvalidArgument for a number too large."""
        from psycopg.errors import NumericValueOutOfRange

        try:
            return self.conn.execute(statement(package, name, self.schema), params).fetchall()
        except NumericValueOutOfRange as error:
            numbers = [(abs(value), said, value) for said, value in params.items() if isinstance(value, int)]
            if not numbers:
                raise
            _, said, value = max(numbers)
            raise InvalidArgument(f"{said}: {value} is too large a number") from error

    def run(self, call: "Call[T]") -> T:
        """Run a verb."""
        from psycopg.rows import tuple_row

        with self.conn.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(call.text(self.schema), call.params)
            return call.read(cursor.fetchall())

    def _check_schema(self, conn: "psycopg.Connection[Any]") -> None:
        from pgqueue.migrate import pending

        try:
            missing = pending(conn, self.schema)
        except ConfigError:
            return  # a role that may enqueue but not read which revision it is
        if missing:
            raise MigrationsPending(f"schema {identifier(self.schema)} is missing or out of date: run `pgq migrate`")


def shown(dsn: str) -> str:
    """Name a database in a message, without secrets."""
    return redact(dsn) or "the database of libpq's variables"


def _first_failure(said: str) -> str:
    """Shorten psycopg's list of every address that it tried to the first of them."""
    tried = [line for line in said.splitlines() if line.startswith("- ")]
    return (tried[0].removeprefix("- ") if tried else said).strip()
