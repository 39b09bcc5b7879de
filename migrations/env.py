"""Alembic's entry, run by pgqueue.migrate only: one revision at a time, in a transaction that the caller has begun.
Only for a revision that builds concurrently nobody has: alembic begins its own, and parts it for an autocommit_block.

`attributes` carry what an .ini file would: the schema, the statements that open each transaction, and, unless the
SQL is only to be written out, the connection.
"""

from alembic import context

attributes = context.config.attributes
schema = attributes["schema"]

if context.is_offline_mode():
    # With the style "named" a % in the schema's name stays single; psycopg's own style would double it.
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        version_table_schema=schema,
    )
    with context.begin_transaction():
        for statement in attributes["opening"]:
            context.static_output(statement)
        context.run_migrations()
else:
    context.configure(connection=attributes["connection"], version_table_schema=schema)
    with context.begin_transaction():
        context.run_migrations()
