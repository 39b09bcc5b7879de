"""Sessions of people who signed in: a signed cookie, nothing is kept on the server. And how often one may try a
password.

The cookie holds the name, when it was issued, and a mark of the account's hash: a changed password, a user taken out
signing out (for the process that was told) and twelve hours end it. Role and rights are looked up at each request.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from pgqueue.ui.passwords import Account

COOKIE = "pgq_session"
LIFE_SECONDS = 12 * 3600
_LONGEST = 1024  # characters of a cookie that is looked at

FREE_TRIES = 5
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 900.0
_REMEMBERED = 4096  # names and addresses; the oldest are forgotten


class Sessions:
    """Issues and reads cookies. With a secret of its own they end with the process."""

    def __init__(self, secret: str | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.sha256((secret or secrets.token_hex(32)).encode()).digest()
        self._clock = clock
        self._ended: OrderedDict[str, float] = OrderedDict()  # signatures, until when they would have held

    def issue(self, account: Account) -> str:
        """Return the value of the cookie of somebody who has just signed in."""
        told = json.dumps([account.name, int(self._clock()), _mark(account), secrets.token_hex(8)])
        body = base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")
        return f"{body}.{self._sign(body)}"

    def read(self, cookie: str | None, accounts: dict[str, Account]) -> Account | None:
        """Return the account that a cookie belongs to; None for one that is forged, expired or of somebody gone."""
        if not cookie or len(cookie) > _LONGEST or not cookie.isascii():
            return None
        body, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature, self._sign(body)) or signature in self._ended:
            return None
        name, issued, mark, _ = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if not 0 <= self._clock() - issued < LIFE_SECONDS:
            return None
        account = accounts.get(name)
        return account if account and hmac.compare_digest(mark, _mark(account)) else None

    def end(self, cookie: str) -> None:
        """Let a cookie that this process believes hold no longer, also where it was copied to."""
        now = self._clock()
        while self._ended and next(iter(self._ended.values())) < now:
            self._ended.popitem(last=False)
        self._ended[cookie.partition(".")[2]] = now + LIFE_SECONDS

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()


def _mark(account: Account) -> str:
    return hashlib.sha256(account.hash.encode()).hexdigest()[:16]


class Tries:
    """Failed logins by name and by address: five are free, then each doubles a wait, up to a quarter of an hour."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, *keys: str) -> float:
        """Return how long these have to wait before the next try."""
        now = self._clock()
        return max((self._failed[key][1] - now for key in keys if key in self._failed), default=0.0)

    def failed(self, *keys: str) -> None:
        """Count a try against each of these."""
        for key in keys:
            count = self._failed.pop(key, (0, 0.0))[0] + 1
            over = count - FREE_TRIES
            wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(over, 20), LONGEST_WAIT_SECONDS) if over >= 0 else 0.0
            self._failed[key] = (count, self._clock() + wait)
            while len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        """Forget the failures of these."""
        for key in keys:
            self._failed.pop(key, None)
