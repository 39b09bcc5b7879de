"""The fenced blocks of a markdown file, and the transcripts of terminals among them.

What follows the language on a fence is for these tests, and invisible to a reader: `file=jobs.py` is a file,
`terminal=1` a terminal of its own. In what a command prints `...` stands for anything, in a line or for lines.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    place: str
    language: str
    options: dict[str, str]
    text: str

    @property
    def file(self) -> str | None:
        return self.options.get("file")


@dataclass(frozen=True)
class Step:
    """A command, and what it prints."""

    command: str
    printed: str


def blocks(path: Path) -> list[Block]:
    """The blocks of a file, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        options = dict(part.split("=", 1) for part in match[2].split())
        found.append(Block(f"{path.name}:{line}", match[1], options, match[3]))
    assert found
    return found


def steps(block: Block) -> list[Step]:
    """The commands of a transcript."""
    first, *parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not first
    return [Step(command, printed) for command, _, printed in (part.partition("\n") for part in parts)]


def prints(step: Step, printed: str) -> bool:
    """Whether that is what the step says it prints; runs of blanks count as one."""
    pattern = re.escape(_lean(step.printed)).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, _lean(printed), re.DOTALL) is not None


def _lean(text: str) -> str:
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.strip().splitlines())
