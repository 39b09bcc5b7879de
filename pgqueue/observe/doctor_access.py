"""Checks of who may do what: whom the schema belongs to, what everybody may do, what the roles lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue.observe.finding import Verdict, failure, ok, warning

if TYPE_CHECKING:
    from pgqueue.observe.patient import Patient

SHOWN = 5


def permissions(patient: Patient) -> Verdict:
    """The worst first: doors open to all, things of other owners, roles without their rights, a superuser's schema."""
    return _doors(patient) or _strangers(patient) or _roles(patient) or _owner(patient)


def _doors(patient: Patient) -> Verdict | None:
    found = patient.rows("open_doors")
    if not found:
        return None
    told = _some([row["what"] for row in found])
    return failure(f"everybody who may connect has (PUBLIC): {told}", _statements([row["remedy"] for row in found]))


def _strangers(patient: Patient) -> Verdict | None:
    found = patient.rows("strangers")
    if not found:
        return None
    told = _some([f'{row["what"]} ("{row["owner"]}")' for row in found])
    return warning(f"not the schema owner's: {told}", _statements([row["remedy"] for row in found]))


def _roles(patient: Patient) -> Verdict | None:
    roles = patient.rows("grants")
    lacking = [
        f'"{row["role"]}" lacks {len(row["missing"])} rights' for row in roles if row["present"] and row["missing"]
    ]
    if lacking:
        return warning(
            "; ".join(lacking), "`pgq grants` lists them, `pgq grants --apply` as the schema's owner gives them"
        )
    missing = [f'"{row["role"]}"' for row in roles if not row["present"]]
    if missing and len(missing) < len(roles):
        return warning(
            f"some of the roles are not there: {', '.join(missing)}",
            "`pgq grants --apply` as a role with CREATEROLE, or have `pgq grants --sql` run by one",
        )
    return None


def _owner(patient: Patient) -> Verdict:
    facts = patient.row("grants_owner", schema=patient.schema)
    if facts["superuser"]:
        return warning(
            f'the schema belongs to "{facts["owner"]}", a superuser, with whose rights enqueue runs',
            "let a role of its own own it: migrate as that role, or reassign what is there (SECURITY.md)",
        )
    return ok(f'the schema belongs to "{facts["owner"]}", no superuser; no role lacks rights')


def _statements(remedies: list[str]) -> str:
    more = f" -- and so on, {len(remedies) - SHOWN} more: run it again" if len(remedies) > SHOWN else ""
    return " ".join(remedies[:SHOWN]) + more


def _some(told: list[str]) -> str:
    return "; ".join(told[:SHOWN]) + (f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else "")
