"""Hides secrets in what jobs carry, before it gets anywhere near a template.

A rule is a glob that a name is held against without regard to case: `*password*` hides the value of "db_password". In
texts (messages, tracebacks, log lines) what follows such a name and `=` or `:` is hidden, and passwords in addresses.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Any

from pgqueue.dsn import redact

DEFAULT_RULES = (
    "*password*", "*passwd*", "*passphrase*", "*secret*", "*token*", "*api_key*", "*apikey*", "*access_key*",
    "*private_key*", "*authorization*", "*cookie*", "*credential*", "*card_number*", "cvv", "cvc", "pin", "ssn", "iban",
)  # fmt: skip
HIDDEN = "•••"
_DEPTH = 64  # of nesting; deeper than that nobody reads, and recursion ends somewhere


class Masks:
    """The rules of one dashboard."""

    def __init__(self, rules: Sequence[str] = DEFAULT_RULES) -> None:
        self.rules = tuple(rule.strip() for rule in rules if rule.strip())
        self._name = re.compile("|".join(translate(rule.lower()) for rule in self.rules) or r"(?!)")
        words = "|".join(_in_text(rule) for rule in self.rules)
        self._text = (
            re.compile(
                rf"(?i)(?<![A-Za-z0-9])((?:{words})[\"']?\s*[=:]\s*)"
                r"((?:bearer|basic)\s+[^\s\"',;]+|\"[^\"]*\"?|'[^']*'?|[^\s\"',;&)}\]]+)"
            )
            if words
            else None
        )

    def value(self, value: Any, *, depth: int = 0) -> Any:
        """Return a JSON value with the values of hidden names replaced."""
        if depth > _DEPTH:
            return HIDDEN
        match value:
            case Mapping():
                return {
                    key: HIDDEN if self.hides(str(key)) and item is not None else self.value(item, depth=depth + 1)
                    for key, item in value.items()
                }
            case list() | tuple():
                return [self.value(item, depth=depth + 1) for item in value]
            case str():
                return self.text(value)
            case _:
                return value

    def hides(self, name: str) -> bool:
        """Whether the value of this name is a secret."""
        return self._name.fullmatch(name.lower().replace("-", "_")) is not None

    def text(self, text: str) -> str:
        """Return a text with what looks like secrets replaced."""
        shown = redact(text) if "@" in text or "assword" in text.lower() else text
        return self._text.sub(rf"\g<1>{HIDDEN}", shown) if self._text else shown


def _in_text(rule: str) -> str:
    """Turn a glob into what it is in a running text, where a name ends with its word."""
    parts = [re.escape(part).replace("_", "[-_]?") for part in rule.split("*")]
    return r"[\w.-]*?".join(parts) if rule.endswith("*") is False else r"[\w.-]*?".join(parts[:-1]) + r"[\w.-]*"
