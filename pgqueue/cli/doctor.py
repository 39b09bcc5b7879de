"""`pgq doctor`: examines the database of a queue, and says what to do about what it finds."""

from collections.abc import Iterator
from typing import Annotated

import typer

from pgqueue.cli import failure, output
from pgqueue.cli.command import command
from pgqueue.cli.failure import Failed
from pgqueue.cli.output import clean, print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import DatabaseUnavailable, InvalidArgument
from pgqueue.observe.finding import Finding, Status

SHOWN = {Status.OK: "ok", Status.WARNING: "warning", Status.FAILURE: "FAILURE"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "doctor")(doctor)


def doctor(
    session: Session,
    dismiss_failovers: Annotated[
        bool, typer.Option("--dismiss-failovers", help="Say no more of what past failovers lost, and end.")
    ] = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Only print the statements that bring a drifted schema back, for psql.")
    ] = False,
) -> int:
    """Examine the queue and its server. Exit status 1 when a check failed; warnings are for office hours."""
    if sql and dismiss_failovers:
        raise InvalidArgument("--sql only prints, --dismiss-failovers changes: one after the other")
    if sql:
        return _mend(session)
    if dismiss_failovers:
        return _dismiss(session)
    findings = list(_findings(session))
    if session.as_json:
        print_json([_plain(finding) for finding in findings])
    else:
        _print(findings)
    return failure.FAILED if any(finding.status is Status.FAILURE for finding in findings) else failure.DONE


def _findings(session: Session) -> Iterator[Finding]:
    """Examine in order; when one fails on which the others rest, they are left out."""
    try:
        conn = session.connect()
    except DatabaseUnavailable as error:
        yield Finding("database", Status.FAILURE, str(error), "check the DSN, the server and the network in between")
        return
    yield Finding("database", Status.OK, "reachable")
    from pgqueue.observe.doctor import examine
    from pgqueue.observe.doctor_drift import migrations
    from pgqueue.observe.patient import Patient

    verdict = migrations(Patient(conn, session.schema))
    yield Finding("migrations", verdict.status, verdict.detail, verdict.remedy)
    if verdict.status is not Status.FAILURE:
        yield from examine(conn, session.schema)


def _mend(session: Session) -> int:
    """Print what the check `drift` would have somebody run."""
    from pgqueue.observe import blueprint, mending
    from pgqueue.observe.doctor_drift import differences, migrations
    from pgqueue.observe.patient import Patient

    patient = Patient(session.conn, session.schema)
    verdict = migrations(patient)
    if verdict.status is not Status.OK:
        raise Failed(f"the schema is {verdict.detail}: {verdict.remedy}")
    statements = mending.script(differences(blueprint.gather(patient.catalogue()), session.schema), session.schema)
    print_json({"sql": statements}) if session.as_json else output.print_script("\n".join(statements))
    return failure.DONE


def _dismiss(session: Session) -> int:
    from pgqueue.observe.patient import statement

    dismissed = session.conn.execute(statement("dismiss_failovers", session.schema), {}).fetchall()
    if session.as_json:
        print_json({"dismissed": len(dismissed)})
    else:
        print_line(f"dismissed {len(dismissed)} failover{'s' if len(dismissed) != 1 else ''}")
    return failure.DONE


def _print(findings: list[Finding]) -> None:
    """A line a check, and below it what to do."""
    names, states = (max(map(len, column)) for column in ([f.check for f in findings], SHOWN.values()))
    for finding in findings:
        line = f"{finding.check:<{names}}  {SHOWN[finding.status]:<{states}}  {clean(finding.detail)}"
        output.print_line(line)
        if finding.remedy:
            output.print_line(f"{'':<{names}}  {'':<{states}}  -> {clean(finding.remedy)}")


def _plain(finding: Finding) -> dict[str, str]:
    return {"check": finding.check, "status": finding.status, "detail": finding.detail, "remedy": finding.remedy}
