"""What must not be read in a log line: rules that replace a secret by `***`. I/O-free.

A rule is a regular expression; what its group `value` matches is hidden, or all of the match when it has none. Rules
err on the side of hiding. Those here take linear time: no unbounded repetition stands before another one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pgqueue.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIDDEN: Final = "***"
# password, secret, token ...: by the first letter first, which takes a third of the time of the words side by side.
_WORDS = (
    r"[pstacPSTAC](?i:(?<=p)(?:ass(?:word|wd|phrase)|wd|rivate[_-]?key)|(?<=s)(?:ecret|ession[_-]?id)|(?<=t)oken|"
    r"(?<=a)(?:pi[_-]?key|ccess[_-]?key)|(?<=c)(?:redential|ookie))"
)
_QUOTED = r"\"[^\"]*\"?|'[^']*'?"

# In this order: an authorization has two words, and a key's block many lines.
DEFAULTS: Final = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?P<value>[^-]*)(?:-----END|$)",
    r"(?i)authorization[\"']?\s{0,5}[=:]\s{0,5}[\"']?(?P<value>(?:\w{1,20}\s{1,5})?[^\s,;\"']+)",
    r"(?i)\b(?:bearer|basic)\s{1,5}(?P<value>[\w.~+/-]{8,}=*)",
    rf"{_WORDS}[\w-]{{0,20}}[\"']?\s{{0,5}}[=:]\s{{0,5}}(?P<value>{_QUOTED}|[^\s,;&)}}\]]+)",
    r"://[^\s/:@]{0,200}:(?P<value>[^\s/@]{1,500})@",
    r"\b(?P<value>eyJ[\w-]{8,1000}\.[\w-]{2,1000}\.[\w-]*)",
)
_SECRET_NAME = re.compile(rf"{_WORDS}|(?i:authorization)")


class Masking:
    """The rules of an App. `add` extends them; `Masking(())` begins without any."""

    def __init__(self, rules: Iterable[str] = DEFAULTS) -> None:
        """Take rules. Raises ConfigError."""
        self._rules: tuple[re.Pattern[str], ...] = ()
        self.add(*rules)

    def add(self, *rules: str) -> None:
        """Add rules: `app.masking.add(r"iban=(?P<value>\\w+)")`. Raises ConfigError."""
        self._rules += tuple(_compiled(rule) for rule in rules)

    def text(self, text: str) -> str:
        """Hide what the rules match."""
        for rule in self._rules:
            text = rule.sub(_hide, text)
        return text

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Hide the values of fields whose names say that they are secret, and what the rules match in the others."""
        return {name: self._field(name, value) for name, value in fields.items()}

    def _field(self, name: str, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value if not self._rules or not _SECRET_NAME.search(name) else HIDDEN
        if self._rules and _SECRET_NAME.search(name):
            return HIDDEN
        return self.text(value if isinstance(value, str) else str(value))


def _compiled(rule: str) -> re.Pattern[str]:
    if not isinstance(rule, str):
        raise ConfigError(f'masking: a rule is a regular expression such as r"iban=(?P<value>\\w+)", got {rule!r}')
    try:
        return re.compile(rule)
    except re.error as error:
        raise ConfigError(f"masking: {rule!r} is no regular expression: {error}") from None


def _hide(match: re.Match[str]) -> str:
    if "value" not in match.re.groupindex:
        return HIDDEN
    start, end = match.span("value")
    if start < 0:
        return match.group()
    offset = match.start()
    return match.group()[: start - offset] + HIDDEN + match.group()[end - offset :]
