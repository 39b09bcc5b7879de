"""The password file: one line a user, `name:role:hash`, hashed with scrypt. `pgq ui passwd` writes it, lines that
begin with # are notes.

A hash is `scrypt$N$r$p$salt$key`, salt and key in base64. The file is read again when it has changed, so that a user
who was taken out is out at once.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from pgqueue.errors import ConfigError
from pgqueue.ui.visitor import Role

COST, BLOCK, LANES = 2**15, 8, 2  # 32 MB and 0.2 s a try; OWASP's second choice, for machines that are not large
SHORTEST = 8  # characters of a new password
LONGEST = 1024  # of any: nobody makes us hash a megabyte
_MEMORY = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Account:
    """A line of the file."""

    name: str
    role: Role
    hash: str


def hashed(password: str) -> str:
    """Return the hash of a password with a salt of its own."""
    salt = secrets.token_bytes(16)
    key = _derive(password, salt, COST, BLOCK, LANES)
    return f"scrypt${COST}${BLOCK}${LANES}${_text(salt)}${_text(key)}"


def matches(password: str, hash_: str) -> bool:
    """Compare in a time that does not tell how much of it was right."""
    _, cost, block, lanes, salt, key = hash_.split("$")
    made = _derive(password[:LONGEST], base64.b64decode(salt), int(cost), int(block), int(lanes))
    return hmac.compare_digest(made, base64.b64decode(key))


class PasswordFile:
    """The accounts of a file, as it is now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at: tuple[int, int, int] | None = None
        self._accounts: dict[str, Account] = {}
        self._nobody = hashed(secrets.token_hex(8))

    def accounts(self) -> dict[str, Account]:
        """Return the accounts by name. Raises ConfigError for a file that is missing, open to others, or malformed."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise ConfigError(f'password file "{self.path}": {error.strerror}; make it with `pgq ui passwd`') from error
        if stat.S_IMODE(now.st_mode) & stat.S_IRWXO:
            raise ConfigError(f'password file "{self.path}": other users can get at it; chmod 600 it')
        mark = (now.st_mtime_ns, now.st_size, now.st_ino)
        if mark != self._read_at:
            self._accounts = _parse(self.path)
            self._read_at = mark
        return self._accounts

    def check(self, name: str, password: str) -> Account | None:
        """Return the account that name and password belong to. An unknown name takes as long as a wrong password."""
        account = self.accounts().get(name)
        fits = matches(password, account.hash if account else self._nobody)
        return account if account and fits else None

    def put(self, account: Account) -> bool:
        """Add or replace an account and write the file anew. Returns whether there was one of this name."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        known = [at for at, line in enumerate(lines) if line.partition(":")[0] == account.name]
        line = f"{account.name}:{account.role}:{account.hash}"
        if known:
            lines[known[0]] = line
        else:
            lines.append(line)
        _write(self.path, "\n".join(lines) + "\n")
        return bool(known)


def valid_name(name: str) -> str:
    """Return a user's name. Raises ConfigError unless it fits on a line of the file and into a header."""
    if not name or len(name) > 64 or not name.isprintable() or ":" in name or name != name.strip() or name[0] == "#":
        raise ConfigError(f"user name {name!r}: must be 1 to 64 printable characters without a colon")
    return name


def valid_password(password: str) -> str:
    """Return a new password. Raises ConfigError for one that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ConfigError(f"the password must have {SHORTEST} to {LONGEST} characters, got {len(password)}")
    return password


def _parse(path: Path) -> dict[str, Account]:
    accounts: dict[str, Account] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(":")
        if len(parts) != 3 or parts[2].count("$") != 5 or not parts[2].startswith("scrypt$"):
            raise ConfigError(f'password file "{path}", line {number}: must be name:role:hash; use `pgq ui passwd`')
        accounts[parts[0]] = Account(valid_name(parts[0]), Role.named(parts[1]), parts[2])
    return accounts


def _write(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner alone."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)


def _derive(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=lanes, maxmem=_MEMORY, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
