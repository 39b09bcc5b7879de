"""Who looks at the dashboard, and what they may do there.

    viewer    reads all but args, meta, results and errors; changes nothing. In the database: pgqueue_viewer.
    operator  reads these too, masked by rule; pauses, resumes, retries, cancels, redrives, runs a schedule now. In the
              database: pgqueue_admin.
    admin     deletes, and changes limits, shares and schedules as well. In the database: pgqueue_admin.

What an operator may not do is refused here: the functions that both call need the same rights on the tables.
"""

from dataclasses import dataclass
from enum import IntEnum

from pgqueue.errors import ConfigError


class Role(IntEnum):
    """A visitor's rights; each has those of the ones below it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def named(cls, word: str) -> "Role":
        """Return the role of this name. Raises ConfigError."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise ConfigError(f'role "{word}": must be viewer, operator or admin') from None


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who was let in. `name` goes into the audit log."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the visitor has at least this role."""
        return self.role >= role
