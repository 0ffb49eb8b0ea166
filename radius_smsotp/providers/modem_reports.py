"""
Delivery reports: which are awaited, and the thread that listens for them between two sends.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from radius_smsotp.core.pdu import Fate
from radius_smsotp.providers.modem_errors import ModemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from radius_smsotp.core.pdu import StatusReport
    from radius_smsotp.providers.modem_device import Device

PATIENCE = 900.0
"""Seconds for which a report is awaited, and the modem kept open for it if nobody wants it."""

SLICE = 0.1
"""Seconds that the thread listens at a time: who wants to send waits so long at most."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Awaited:
    message_id: str
    until: float  # time.monotonic()
    references: set[int] = field(default_factory=set)


class Reports:
    """
    The reports that are awaited.  Used by one thread at a time: whoever has the device.

    Attributes:
        on_report: Called with the message id, whether all of it was delivered, and the network's
            words for it.  Called once for each message, from a thread of the provider's; it must
            not send, and it should be quick.
    """

    def __init__(self) -> None:
        self.on_report: Callable[[str, bool, str], None] | None = None
        self._awaited: dict[int, _Awaited] = {}

    def expect(self, message_id: str, references: list[int]) -> None:
        """Await a report for each part of a message."""
        message = _Awaited(message_id, time.monotonic() + PATIENCE, set(references))
        # A reference is one octet: the network uses it again, and then the older one is lost.
        self._awaited.update(dict.fromkeys(references, message))

    def any_awaited(self) -> bool:
        """True while a report may still come."""
        now = time.monotonic()
        self._awaited = {key: value for key, value in self._awaited.items() if value.until > now}
        return bool(self._awaited)

    def settle(self, reports: list[StatusReport]) -> None:
        """Take reports out of the list, and tell `on_report` what they settle."""
        while reports:
            report = reports.pop(0)
            message = self._awaited.get(report.reference)
            if message is None or report.fate is Fate.PENDING:
                continue
            del self._awaited[report.reference]
            message.references.discard(report.reference)
            if report.fate is Fate.FAILED:
                for reference in message.references:
                    self._awaited.pop(reference, None)
                self._tell(message.message_id, delivered=False, words=report.meaning)
            elif not message.references:
                self._tell(message.message_id, delivered=True, words=report.meaning)

    def _tell(self, message_id: str, *, delivered: bool, words: str) -> None:
        if self.on_report is None:
            return
        try:
            self.on_report(message_id, delivered, words)
        except Exception as error:  # noqa: BLE001 -- not our code; delivery must go on
            log.warning("delivery report %s was not recorded: %s", message_id, type(error).__name__)


class Listener(threading.Thread):
    """
    Holds the device between two sends, until the reports came or somebody else wants it.

    Args:
        device: The open modem; it belongs to this thread until `hand_back`.
        reports: What is awaited.
        name: The provider's name, for the thread's.
    """

    def __init__(self, device: Device, reports: Reports, name: str) -> None:
        super().__init__(name=f"smsotp-modem-{name}", daemon=True)
        self._device: Device | None = device
        self._reports = reports
        self._asked_back = threading.Event()

    def run(self) -> None:
        device = self._device
        if device is not None and not self._listen(device):
            self._device = None
            device.close()

    def _listen(self, device: Device) -> bool:
        """True if the device was asked back, False if it is of no more use here."""
        try:
            while not self._asked_back.is_set():
                self._reports.settle(device.line.reports)
                if not self._reports.any_awaited() or device.is_wanted():
                    return False
                device.line.listen(SLICE)
        except ModemError as error:
            log.info("no more delivery reports for now: %s", error.text)
            return False
        return True

    def hand_back(self, deadline: float) -> Device | None:
        """
        End the thread and take the device from it; None if it has closed it.

        Raises:
            TimeoutError: `on_report` took too long.
        """
        self._asked_back.set()
        self.join(max(deadline - time.monotonic(), 0))
        if self.is_alive():
            raise TimeoutError
        return self._device
