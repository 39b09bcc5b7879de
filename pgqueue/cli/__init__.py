"""The command `pgq`: what an operator, a shell script or a container does with the queue.

    root.py       the tree of commands, and `main`
    command.py    what all commands share: --dsn, --schema, --json, --debug; one readable line for each failure
    failure.py    errors -> one line and an exit status
    session.py    the connection of a command; `embedded:PATH`
    output.py     tables on a terminal, aligned text in a pipe, JSON for programs
    values.py     what people write on a command line: durations, times, JSON objects
    logs.py       the log of a worker
    the others    one module per command or group of commands

Nothing is imported before it is needed: `pgq --help` touches neither the driver nor alembic. Statements are in `sql/`.
"""


def main() -> None:
    """Run the command line of this process and exit with its status."""
    from pgqueue.cli.root import run

    raise SystemExit(run())
