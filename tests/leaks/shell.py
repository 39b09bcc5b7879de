"""Commands in this process, and addresses that lead nowhere."""

import sys

import pytest

from pgqueue.cli import root
from tests.leaks.canaries import PASSWORD

# DSNs that lead nowhere.
ADDRESSES = (
    f"postgresql://u:{PASSWORD}@127.0.0.1:1/x",
    f"postgresql://u:{PASSWORD}@nowhere.invalid/x",
    f"postgresql://u:{PASSWORD}@127.0.0.1:1,127.0.0.1:2/x?target_session_attrs=read-write",
    f"host=/nowhere user=u password={PASSWORD}",
    f"host=/nowhere user=u password='{PASSWORD}",
    f"host=127.0.0.1 port=1 passwrd={PASSWORD}",
    f"postgresql://127.0.0.1:1/x?password={PASSWORD}",
    f"postgresql://127.0.0.1:1/x?password={PASSWORD}&bogus=1",
    f"postgresql://u:%zz{PASSWORD}@127.0.0.1:1/x",
    f"mysql://u:{PASSWORD}@127.0.0.1/x",
    f"u:{PASSWORD}@127.0.0.1/x",
)


class Shell:
    """Runs commands in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        """The exit status and all that was printed."""
        self._monkeypatch.setattr(sys, "argv", ["pgq", *words])
        status = root.run()
        printed = self._capsys.readouterr()
        return status, f"{printed.out}\n{printed.err}"
