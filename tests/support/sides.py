"""The sync and the async surface behind one form, so that a test holds both to the same promises."""

from typing import Any

import psycopg


class Sync:
    """Runs the verbs of the sync client."""

    name = "sync"

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    async def do(self, owner: Any, verb: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(owner, verb)(*args, **kwargs)

    async def connect(self, **options: Any) -> Any:
        return psycopg.connect(self.dsn, **options)

    async def on(self, conn: Any, verb: str, *args: Any) -> Any:
        return getattr(conn, verb)(*args)


class Async(Sync):
    """Runs their twins, which have an a in front."""

    name = "async"

    async def do(self, owner: Any, verb: str, *args: Any, **kwargs: Any) -> Any:
        return await getattr(owner, f"a{verb}")(*args, **kwargs)

    async def connect(self, **options: Any) -> Any:
        return await psycopg.AsyncConnection.connect(self.dsn, **options)

    async def on(self, conn: Any, verb: str, *args: Any) -> Any:
        return await getattr(conn, verb)(*args)
