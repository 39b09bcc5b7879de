"""A real SMTP server on loopback that refuses some deliveries at first, as greylisting servers do, and keeps a log.

It runs in a thread with an event loop of its own. Port 0 lets the kernel choose one.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, Self

from pgqueue.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

ACCEPTED = 250
TRY_LATER = 450


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery that was tried, and the server's answer."""

    email: str
    code: int
    mail: Message | None  # what was accepted
    at: datetime


class MailServer:
    """Accepts mail for everybody, after refusing so many deliveries to a recipient as `refusals` says."""

    def __init__(self, refusals: Callable[[str], int]) -> None:
        self.log: list[Delivery] = []
        self._refusals = refusals
        self._tries: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="smtp", daemon=True)
        self._listening = threading.Event()
        self._port = 0
        self._fault: BaseException | None = None

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._port

    def count(self, *, accepted: bool) -> int:
        """How many deliveries were accepted, or refused."""
        return sum((delivery.code == ACCEPTED) is accepted for delivery in tuple(self.log))

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        if self._fault is not None:
            raise self._fault
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for this name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Answer whether a recipient's mail is taken now."""
        self._tries[address] += 1
        if self._tries[address] <= self._refusals(address):
            self._note(address, TRY_LATER)
            return f"{TRY_LATER} 4.2.0 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return f"{ACCEPTED} 2.1.5 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail."""
        mail = message_from_bytes(envelope.content)
        for address in envelope.rcpt_tos:
            self._note(address, ACCEPTED, mail)
        return f"{ACCEPTED} 2.0.0 accepted"

    def _note(self, email: str, code: int, mail: Message | None = None) -> None:
        self.log.append(Delivery(email, code, mail, datetime.now(UTC)))

    def _serve(self) -> None:
        try:
            server = self._loop.run_until_complete(self._listen())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._fault = error
            return
        finally:
            self._listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        try:
            from aiosmtpd.smtp import SMTP
        except ModuleNotFoundError:
            raise ConfigError("the demo's mail server needs aiosmtpd: pip install '.[demo]'") from None

        server = await self._loop.create_server(
            lambda: SMTP(self, hostname="localhost", loop=self._loop), "127.0.0.1", 0
        )
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def _end(self) -> None:
        """End conversations that are still open."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
