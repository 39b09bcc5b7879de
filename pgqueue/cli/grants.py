"""`pgq grants`: the roles of this installation, what they lack, and who is let in."""

from typing import Annotated

import typer

from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.failure import Failed
from pgqueue.cli.output import Row, print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.schema import identifier

KINDS = ("producer", "worker", "viewer", "admin")


def _state(row: Row) -> str:
    if not row["present"]:
        return "missing"
    return f"lacks {len(row['missing'])} rights" if row["missing"] else "complete"


COLUMNS: tuple[output.Column, ...] = (
    ("kind", output.text("kind")),
    ("role", output.text("role")),
    ("rights", _state),
    ("members", lambda row: ", ".join(row["members"]) or "-"),
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "grants")(grants)


def grants(
    session: Session,
    kind: Annotated[
        str | None, typer.Argument(envvar="PGQ_GRANTS_KIND", help="producer, worker, viewer or admin.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="USER", help="Let this database role in.")] = None,
    contents: Annotated[
        bool, typer.Option("--contents", help="With --to: it may see arguments, results and errors too.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Only print the statements, for psql.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Make missing roles and give them their rights.")] = False,
) -> None:
    """Show the queue's roles and what they lack; --apply mends that, `pgq grants KIND --to USER` lets a user in.

    Needs the role that owns the schema, and to make roles CREATEROLE. --sql prints what somebody else can run instead.
    """
    _check(kind, to, contents=contents, apply=apply)
    rows = session.rows("grants", package="pgqueue.observe")
    if kind is not None and to is not None:
        role = next(row["role"] for row in rows if row["kind"] == kind)
        statements = _admission(session, role, to, contents=contents)
    else:
        statements = _script(rows) if sql else []
    if sql:
        script = "\n".join(f"{line};" for line in statements)
        print_json({"sql": statements}) if session.as_json else output.print_script(script)
    elif to is not None and kind is not None:
        _admit(session, statements, kind, to)
    else:
        _show(session, rows, apply=apply)


def _check(kind: str | None, to: str | None, *, contents: bool, apply: bool) -> None:
    if kind is not None and kind not in KINDS:
        raise InvalidArgument(f'there is no kind of role "{kind}"; there are: {", ".join(KINDS)}')
    if (kind is None) != (to is None):
        raise InvalidArgument("give a kind and --to USER, as in `pgq grants producer --to shop_web`, or neither")
    if contents and to is None:
        raise InvalidArgument("--contents needs a kind and --to USER")
    if apply and to is not None:
        raise InvalidArgument("--apply gives the roles their rights, --to lets a user in: one after the other")


def _script(rows: list[dict[str, object]]) -> list[str]:
    made = [f"create role {identifier(str(row['role']))} nologin" for row in rows if not row["present"]]
    return made + [str(line) for row in rows for line in row["missing"]]  # type: ignore[attr-defined]


def _admission(session: Session, role: str, user: str, *, contents: bool) -> list[str]:
    """The statements that make a user a member of a role."""
    if not user or "\x00" in user or len(user.encode(errors="surrogatepass")) > 63:
        raise InvalidArgument(f"--to: {user[:100]!r} is no name of a role: 1 to 63 bytes without NUL")
    statements = [f"grant {identifier(role)} to {identifier(user)}"]
    if contents:
        statements.append(f"grant select on {identifier(session.schema)}.job_args to {identifier(user)}")
    return statements


def _admit(session: Session, statements: list[str], kind: str, user: str) -> None:
    if not session.rows("grants_known", {"user": user})[0]["known"]:
        raise Failed(f'there is no role "{user}" in this server; create it first: create role {identifier(user)} login')
    with session.conn.transaction():
        for statement in statements:
            session.conn.execute(statement.encode())
    if session.as_json:
        print_json({"kind": kind, "to": user, "statements": statements})
        return
    print_line(f'"{user}" is now a {kind} of schema "{session.schema}"')


def _show(session: Session, rows: list[dict[str, object]], *, apply: bool) -> None:
    if apply:
        refused = [row["role"] for row in session.rows("grants_apply") if row["state"] == "missing"]
        if refused:
            raise Failed(
                f"this role may not make {', '.join(map(str, refused))}: it lacks CREATEROLE; "
                "have an administrator run the output of `pgq grants --sql`"
            )
        rows = session.rows("grants", package="pgqueue.observe")
    if session.as_json:
        print_json(rows)
        return
    output.print_table(rows, COLUMNS, empty="")
    if any(row["missing"] for row in rows):
        print_line("run `pgq grants --apply` as the schema's owner, or have an administrator run what `--sql` prints")
    owner = session.rows("grants_owner", {"schema": session.schema}, package="pgqueue.observe")[0]
    if owner["superuser"]:
        print_line(
            f'the schema belongs to "{owner["owner"]}", a superuser, with whose rights enqueue runs: '
            "better a role of its own owns it (SECURITY.md)"
        )
