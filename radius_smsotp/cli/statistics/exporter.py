"""``smsotp exporter``: the figures, as Prometheus reads them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import click

from radius_smsotp.cli.courier import log_to_stderr
from radius_smsotp.cli.ending import Ending
from radius_smsotp.cli.site import Site, acting_as
from radius_smsotp.cli.statistics import figures
from radius_smsotp.errors import ConfigurationError, SmsotpError

log = logging.getLogger(__name__)

DEFAULT = "127.0.0.1:9812"


def _address(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise click.BadParameter("write HOST:PORT, as 127.0.0.1:9812 or [::1]:9812")
    return host.removeprefix("[").removesuffix("]"), int(port)


@click.command()
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=DEFAULT,
    show_default=True,
    callback=_address,
    help="Where to answer; port 0 takes a free one.",
)
@click.pass_obj
def exporter(config: Path, listen: tuple[str, int]) -> None:
    """
    Serve the figures to Prometheus.

    They come from the store: counters go on where they were after a restart, and one exporter
    is enough for all servers that share the store.  Who can reach the address can read them;
    they hold no names of users, no numbers and no codes.  Settings are read again when they
    change.  As root it takes the rights of the key's owner.

    \b
    Examples:
      smsotp exporter
      smsotp exporter --listen 192.0.2.7:9812
    """
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415  # slow

    from radius_smsotp.cli.statistics.metrics import Collector  # noqa: PLC0415  # as above

    log_to_stderr()
    ending = Ending()
    with acting_as(Site(config).owner):
        _count(config)
        registry = CollectorRegistry()
        registry.register(Collector(config))
        try:
            server, thread = start_http_server(listen[1], listen[0], registry)
        except OSError as error:
            where = f"{listen[0]}:{listen[1]}"
            raise SmsotpError(f"cannot listen on {where}: {error.strerror or error}") from None
        host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
        log.info("http://%s:%d/metrics answers", host, server.server_port)
        ending.come()
        server.shutdown()
        thread.join()


def _count(config: Path) -> None:
    """
    Bring the figures forward: the first time that takes longer than Prometheus waits.

    Raises:
        ConfigurationError: There will be none, however long one waits.
    """
    try:
        with Site(config, lenient=True) as site:
            figures.bring_forward(site.store, datetime.now(UTC))
    except ConfigurationError as error:
        if not error.passing:
            raise
        log.warning("%s; smsotp_up is 0 until it answers", error)
