"""As whom the server's programs run: PostgreSQL refuses root, so root runs them as somebody else.

Nothing is created or opened up for that: no user is added and no mode of a foreign folder is changed.
"""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgqueue.errors import ConfigError

UNPRIVILEGED = ("postgres", "nobody")
# What psql would take its defaults from, and what would translate the messages: neither may reach a server of our own.
_FOREIGN = ("PG", "LC_", "LANG")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the machine. `other` is false when it is the one that this process runs as."""

    uid: int
    gid: int
    other: bool

    def run(self, program: Path, args: Sequence[str | Path], *, home: Path) -> "subprocess.CompletedProcess[str]":
        """Run a program of the server to its end and return what it printed; it inherits no standard input."""
        return subprocess.run(
            [str(program), *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=_environment(home),
            user=self.uid if self.other else None,
            group=self.gid if self.other else None,
            extra_groups=[] if self.other else None,
        )

    def own(self, path: Path) -> None:
        """Give a file or folder of ours to this account."""
        if self.other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def reaches(self, path: Path) -> bool:
        """Whether this account may enter the folder, or run the program."""
        return not self.other or self.run(Path("/bin/sh"), ["-c", 'test -x "$0"', path], home=Path("/")).returncode == 0

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def server_account(data: Path) -> Account:
    """Return who runs the server of a data folder: its owner if it exists, else we, and for root somebody else."""
    if data.exists():
        return _owner(data)
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), other=False)
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, other=True)
    raise ConfigError(
        f"PostgreSQL cannot run as root, and there is no user {' or '.join(UNPRIVILEGED)}: run pgq as a user"
    )


def _owner(data: Path) -> Account:
    stat = data.stat()
    owner = Account(uid=stat.st_uid, gid=stat.st_gid, other=stat.st_uid != os.geteuid())
    if owner.uid == 0:
        raise ConfigError(
            f"{data}: belongs to root, as whom PostgreSQL cannot run: give it to another user with chown -R"
        )
    if owner.other and os.geteuid() != 0:
        raise ConfigError(f"{data}: belongs to user {owner.name}: run pgq as that user, or give another folder")
    return owner


def _environment(home: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {"HOME": str(home), "LC_ALL": "C"}
