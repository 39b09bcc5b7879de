"""Checks of the schema: its revision, and each of its objects against head: missing, altered, invalid, or not ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from pgqueue.errors import VersionTooOld
from pgqueue.migrate import compatibility, revisions
from pgqueue.migrate.session import read_revision
from pgqueue.observe import blueprint
from pgqueue.observe.finding import Verdict, failure, ok, warning
from pgqueue.observe.mending import Difference, script

if TYPE_CHECKING:
    from pgqueue.observe.blueprint import Facts, Name
    from pgqueue.observe.patient import Patient

SHOWN = 8
SHORT = 300  # characters of a statement that a line of text bears


def migrations(patient: Patient) -> Verdict:
    """The schema's revision: pending ones are a failure, as nothing else can be told of such a schema."""
    try:
        revision = read_revision(patient.conn, patient.schema)
    except psycopg.errors.InsufficientPrivilege as error:
        return warning(f"not looked at: {error.diag.message_primary}", "run it as the role that migrates")
    newest = revisions.head()
    if revision is None:
        return failure(f'schema "{patient.schema}" is not there', "run `pgq migrate`")
    if revision in revisions.known():
        pending = ", ".join(revisions.following(revision, patient.schema))
        remedy = "`pgq migrate --plan` says what it would do; run `pgq migrate`"
        return failure(f"at {revision}; pending: {pending}", remedy) if pending else ok(f"current: {revision}")
    try:
        compatibility.require_served(patient.conn, patient.schema)
    except VersionTooOld as error:
        return failure(str(error), "install that version here")
    said = f"at {revision}, which is unknown here, where the newest is {newest}: a newer pgqueue migrated it"
    return warning(said, "finish the deployment: install the same version here; drift is looked at by that one")


def drift(patient: Patient) -> Verdict:
    """Compare the catalogue with what head makes. Looks at no table but the quotas."""
    if (revision := read_revision(patient.conn, patient.schema)) != revisions.head():
        return warning(
            f"not looked at: the schema is at {revision}, this version makes {revisions.head()}",
            "run `pgq doctor` of the version that migrated it",
        )
    objects = blueprint.gather(patient.catalogue())
    found = differences(objects, patient.schema)
    unguarded, unseen = _unguarded(patient)
    loose = _quotas(unguarded)
    if not found and not loose:
        return ok(f"{len(objects)} objects are as this version makes them{unseen}")
    told = [str(one) for one in sorted(found, key=lambda one: not one.grave)]
    more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    said = "; ".join(told[:SHOWN] + more + loose)
    grave = loose or any(one.grave for one in found)
    return (failure if grave else warning)(said, _remedy(found, unguarded, patient.schema))


def differences(objects: dict[Name, Facts], schema: str) -> list[Difference]:
    """Return the objects that are not as they are at head. What a missing table had is not told besides."""
    wanted = blueprint.expected(schema)
    found = [
        Difference(*name, wanted.get(name), objects.get(name))
        for name in sorted({*wanted, *objects})
        if name not in wanted or name not in objects or blueprint.differing(wanted[name], objects[name])
    ]
    away = {one.name for one in found if one.kind in ("table", "view") and (one.wanted is None or one.found is None)}
    return [one for one in found if one.kind in ("table", "view") or one.name.partition(".")[0] not in away]


def _remedy(found: list[Difference], unguarded: list[str], schema: str) -> str:
    statements = script(found, schema)
    if unguarded and not found:
        return f"set it again: `pgq queues set {unguarded[0]} --max-depth 0`, then with its number"
    if statements and sum(map(len, statements)) <= SHORT and not any("\n" in line for line in statements):
        return "as the schema's owner: " + " ".join(statements)
    return (
        "`pgq doctor --sql` prints statements that mend this: read them, and run them with psql as the schema's owner"
    )


def _unguarded(patient: Patient) -> tuple[list[str], str]:
    """Queues whose quota nobody guards; and what to say where this role may not read the quotas."""
    try:
        with patient.conn.transaction():
            return patient.row("quota_trigger")["unguarded"], ""
    except psycopg.errors.InsufficientPrivilege:
        return [], "; this role may not read quotas"


def _quotas(unguarded: list[str]) -> list[str]:
    """The trigger of quotas comes and goes with them, and names their queues."""
    names = ", ".join(f'"{queue}"' for queue in unguarded[:SHOWN])
    return [f"trigger queued_jobs.enforce_quota does not guard queues with a quota: {names}"] if unguarded else []
