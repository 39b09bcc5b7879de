"""What a process for cpu handlers said of its handler, as the worker takes it: an Answer, or an exception."""

from __future__ import annotations

import logging
import sys
from typing import Any

from pgqueue.outcome import Cancel, Discard, Retry, Snooze

log = logging.getLogger(__name__)


def answer_of(answer: dict[str, Any]) -> BaseException:
    """The Answer that the handler gave."""
    seconds, reason = answer["seconds"], answer["reason"]
    match answer["verb"]:
        case "Retry":
            return Retry(seconds, reason)
        case "Snooze":
            return Snooze(seconds, reason)
        case "Cancel":
            return Cancel(reason)
        case _:
            return Discard(reason)


def stand_in(names: list[str], message: str) -> BaseException:
    """An exception of the class that the child named, or of its nearest ancestor that this process has imported and
    can make from a message: policies look at classes only.
    """
    for name in names:
        module, _, qualname = name.rpartition(":")
        found: Any = sys.modules.get(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if isinstance(found, type) and issubclass(found, BaseException):
            try:
                made: BaseException = type(found.__name__, (found,), {"__init__": BaseException.__init__})(message)
            except Exception as error:  # noqa: BLE001 - its class may ask for anything, as ExceptionGroup does
                log.debug("no exception of this class can be made", extra={"kind": name, "error": type(error).__name__})
                continue
            return made
    return Exception(message)
