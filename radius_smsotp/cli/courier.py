"""``smsotp courier``: delivery as a process of its own."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.ending import Ending, once_there
from radius_smsotp.cli.site import Site, acting_as
from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.radius import process
from radius_smsotp.server import FAREWELL_SECONDS, Server, Watch

log = logging.getLogger(__name__)


@click.command()
@click.pass_obj
def courier(config: Path) -> None:
    """
    Send the messages, as a process of its own.  Needs `courier: external` under `delivery`.

    Several may run: each message is sent by one of them.  Settings are read again when they
    change.  SIGTERM and Ctrl-C let it finish what it has begun; a second one ends it at once.
    Run it as the user that FreeRADIUS runs as; as root it takes the rights of the key's owner.

    \b
    Example:
      smsotp courier
    """
    log_to_stderr()
    with acting_as(Site(config).owner):
        ending = Ending()
        started = partial(Server, config, in_radiusd=False, starting=True)
        if (server := once_there(started, ending)) is None:
            return
        if server.courier.internal:
            fault, remedy = "is internal: radiusd sends by itself", "set it to external"
            raise ConfigurationError([Problem(f"{config.name}: delivery.courier", fault, remedy)])
        _Run(server, ending).until_told_to_end()


class _Run:
    """The time between start and end, with a new server whenever the settings change."""

    def __init__(self, server: Server, ending: Ending) -> None:
        self._servers = [server]
        self._ending = ending

    def until_told_to_end(self) -> None:
        """Send what comes; at the end, finish what was begun."""
        [server] = self._servers
        watch = Watch(server, self._replaced)
        server.start()
        watch.start()
        log.info("courier %s has started", server.courier.owner)
        self._ending.come()
        log.info("ending: messages on their way are finished first")
        watch.stop()
        for server in self._servers:
            server.close(FAREWELL_SECONDS)

    def _replaced(self, server: Server) -> None:
        # The one before may still have messages on their way.
        self._servers = [self._servers[-1], server]
        if server.courier.internal:
            log.info("delivery.courier is internal now: radiusd sends by itself")
            self._ending.set()


def log_to_stderr() -> None:
    """A line for each thing that a process in the background has to say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(_one_line)
    process.install(handler)


class _Formatter(logging.Formatter):
    """With the zone, as every time that a person reads."""

    def formatTime(  # noqa: N802  # logging's name
        self,
        record: logging.LogRecord,
        datefmt: str | None = None,  # nobody sets one
    ) -> str:
        return output.local(datetime.fromtimestamp(record.created, timezone.utc))


def _one_line(record: logging.LogRecord) -> bool:
    """A record is one line, whatever a gateway has answered."""
    record.msg, record.args = output.clean(record.getMessage()), ()
    return True
