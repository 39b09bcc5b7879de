"""What the failover tests run: an effect in the handler's own transaction, exactly once."""

import os
from typing import Any

import psycopg

from pgqueue import App

app = App()


@app.task(name="effect", max_attempts=20)
async def effect(ctx: Any, number: int) -> None:
    async with await psycopg.AsyncConnection.connect(os.environ["PGQ_DSN"], connect_timeout=5) as conn:
        await conn.execute("insert into effects (number) values (%s)", [number])
        await ctx.complete(conn)
