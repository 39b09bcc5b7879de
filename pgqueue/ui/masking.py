"""Hides secrets in what jobs carry, before it gets anywhere near a template.

A rule is a glob that a name is held against without regard to case: `*password*` hides the value of "db_password". In
texts (messages, tracebacks, log lines) what follows such a name and `=` or `:` is hidden, and passwords in addresses.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Any

DEFAULT_RULES = (
    "*password*", "*passwd*", "*passphrase*", "*secret*", "*token*", "*api_key*", "*apikey*", "*access_key*",
    "*private_key*", "*authorization*", "*cookie*", "*credential*", "*card_number*", "cvv", "cvc", "pin", "ssn", "iban",
)  # fmt: skip
HIDDEN = "•••"
_DEPTH = 64  # of nesting; deeper than that nobody reads, and recursion ends somewhere

# Both are linear in the length of a text: a name is looked at from its beginning only, and never given back in parts.
_PAIR = re.compile(
    r"(?P<name>(?<![\w.-])[\w.-]++)(?P<sign>\\*+[\"']?\s*+[=:]\s*+)"
    r"(?P<value>(?i:bearer|basic)\s++[^\s\"',;\\]++|\\*+\"[^\"]*+\"?|\\*+'[^']*+'?|[^\s\"',;&)}\]]++)"
)
_ADDRESS = re.compile(r"(?<=://)([^\s/@:?#]{0,256}+:)[^\s@]{1,256}@")


class Masks:
    """The rules of one dashboard."""

    def __init__(self, rules: Sequence[str] = DEFAULT_RULES) -> None:
        self.rules = tuple(rule.strip() for rule in rules if rule.strip())
        self._name = re.compile("|".join(translate(rule.lower()) for rule in self.rules) or r"(?!)")

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
        return _PAIR.sub(self._pair, _ADDRESS.sub(rf"\g<1>{HIDDEN}@", text))

    def _pair(self, found: re.Match[str]) -> str:
        name = found["name"]
        if not self.hides(name) and not self.hides(name.rpartition(".")[2]):
            return found[0]
        return f"{name}{found['sign']}{HIDDEN}"
