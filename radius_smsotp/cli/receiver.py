"""``smsotp receiver``: receipts of gateways that tell them by a request of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import click

from radius_smsotp.cli import serving
from radius_smsotp.cli.courier import log_to_stderr
from radius_smsotp.cli.ending import Ending, once_there
from radius_smsotp.cli.serving import Request, Response
from radius_smsotp.cli.site import Site, acting_as
from radius_smsotp.delivery.receipts import Receipts
from radius_smsotp.errors import ConfigurationError, Problem, SmsotpError, StoreError
from radius_smsotp.model import code
from radius_smsotp.providers.http import receipt
from radius_smsotp.providers.http.provider import Settings
from radius_smsotp.providers.http.receipt import Incoming, Reading, ReceiptError
from radius_smsotp.server import fingerprint
from radius_smsotp.settings.file import Loaded

log = logging.getLogger(__name__)

DEFAULT = "127.0.0.1:9813"


@click.command()
@serving.options(DEFAULT)
@click.pass_obj
def receiver(
    config: Path, listen: tuple[str, int], certificate: Path | None, key: Path | None
) -> None:
    """
    Take receipts that gateways send by HTTP.

    A gateway calls 'receiver.url' of the settings, a slash and the name of its provider, whose
    part 'receipt' says how to read it.  A message that was lost goes through the next provider,
    by whoever sends.  Several may run, on any servers that share the store.  Settings are read
    again when they change.  As root it takes the rights of the key's owner.

    \b
    Examples:
      smsotp receiver               behind a web server that speaks TLS
      smsotp receiver --listen 0.0.0.0:8443 --certificate /etc/ssl/host.pem
    """
    log_to_stderr()
    ending = Ending()
    owner = Site(config, lenient=True).owner
    desk = Desk(config)
    server = serving.Serving(desk.answer, listen, certificate, key)
    with acting_as(owner):
        if once_there(desk.open, ending) is None:
            return
        log.info("%s answers, for %s", server.place, ", ".join(desk.names) or "no provider yet")
        server.until(ending, desk.look)
        desk.close()


def readings(loaded: Loaded) -> dict[str, tuple[Reading, str]]:
    """How to read the receipts of each provider that has some, and what to answer."""
    found = {}
    for name, own in loaded.providers.items():
        if isinstance(own, Settings) and own.receipt and (reading := own.reading()):
            found[name] = reading, own.receipt.answer
    return found


class Desk:
    """
    What takes receipts, by the settings as they are now.

    Args:
        now: The clock: aware UTC.
    """

    def __init__(
        self, config: Path, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    ) -> None:
        self._config = config
        self._now = now
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._site: Site | None = None

    def open(self) -> Desk:
        """
        Read the settings; the first time those that worked last do, too.  Returns itself.

        Raises:
            ConfigurationError: They or the store cannot be used, or nobody could reach us.
        """
        seen = fingerprint(self._config)
        site = Site(self._config, lenient=self._site is None)
        loaded = site.loaded
        if not loaded.values.receiver.address:
            remedy = "write https://HOST/SECRET, as gateways reach this command"
            raise ConfigurationError([Problem(loaded.place("receiver.url"), "is not set", remedy)])
        taken = Receipts(site.store, self._now)
        seen += sum((fingerprint(file) for file in loaded.secret_files), ())
        with self._lock:
            before, self._site = self._site, site
            self._loaded, self._receipts, self._seen = loaded, taken, seen
            self._readings = readings(loaded)
        if before is not None:
            before.close()
        return self

    @property
    def names(self) -> list[str]:
        """The providers whose receipts are taken."""
        return list(self._readings)

    def close(self) -> None:
        """Let go of the store."""
        if self._site is not None:
            self._site.close()

    def look(self) -> None:
        """Read the settings again if they have changed, and see to receipts that wait."""
        files = (self._config, *self._loaded.secret_files)
        now = sum((fingerprint(file) for file in files), ())
        try:
            if now != self._seen:
                self._seen = now
                self.open()
                log.info("the settings were read again")
            self._receipts.look_again()
        except ConfigurationError as error:
            log.error("the settings have changed, but do not work; the ones before stay in use:")
            for problem in error.problems:
                log.error("%s", problem)
        except SmsotpError as error:
            log.warning("receipts that wait are looked at later: %s", error)

    def answer(self, request: Request) -> Response:
        """Take what a gateway sends."""
        with self._lock:
            address, own, taken = (
                self._loaded.values.receiver.address,
                self._readings,
                self._receipts,
            )
        path = "/" + address.split("://", 1)[1].partition("/")[2]
        here, _, name = request.path.rpartition("/")
        # Who does not know the secret learns nothing from how long it takes.
        if not code.matches(here, path) or name not in own:
            return Response(404)
        reading, told = own[name]
        url = f"{address}/{name}" + (f"?{request.query}" if request.query else "")
        incoming = Incoming(request.method, url, request.headers, request.body)
        try:
            for message_id, one in receipt.read(incoming, reading, self._now()):
                taken.hear(name, message_id, one)
        except ReceiptError as error:
            log.warning("what came for %s is not taken: %s", name, error)
            return Response(error.status)
        except StoreError as error:
            # The gateway comes again, as most do.
            log.warning("a receipt of %s could not be written: %s", name, error)
            return Response(503)
        return Response(200, told.encode())
