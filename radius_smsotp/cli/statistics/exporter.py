"""``smsotp exporter``: the figures, as Prometheus reads them."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from radius_smsotp.cli import serving
from radius_smsotp.cli.courier import log_to_stderr
from radius_smsotp.cli.ending import Ending
from radius_smsotp.cli.site import Site, acting_as
from radius_smsotp.cli.statistics import figures
from radius_smsotp.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

log = logging.getLogger(__name__)

DEFAULT = "127.0.0.1:9812"


@click.command()
@serving.options(DEFAULT)
@click.pass_obj
def exporter(
    config: Path, listen: tuple[str, int], certificate: Path | None, key: Path | None
) -> None:
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
      smsotp exporter --listen 192.0.2.7:9812 --certificate /etc/ssl/host.pem
    """
    from prometheus_client import CollectorRegistry  # noqa: PLC0415  # slow

    from radius_smsotp.cli.statistics.metrics import Collector  # noqa: PLC0415  # as above

    log_to_stderr()
    ending = Ending()
    site = Site(config)
    server = serving.Serving(
        partial(_answer, registry := CollectorRegistry()), listen, certificate, key
    )
    with acting_as(site.owner):
        _count(config)
        registry.register(Collector(config))
        log.info("%s/metrics answers", server.place)
        server.until(ending)


def _answer(registry: CollectorRegistry, request: serving.Request) -> serving.Response:
    """The figures, in the format that whoever asks knows."""
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415  # slow

    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return serving.Response(200, encode(registry), kind)


def _count(config: Path) -> None:
    """
    Bring the figures forward: the first time that takes longer than Prometheus waits.

    Raises:
        ConfigurationError: There will be none, however long one waits.
    """
    try:
        with Site(config, lenient=True) as site:
            figures.bring_forward(site.store, datetime.now(timezone.utc))
    except ConfigurationError as error:
        if not error.passing:
            raise
        log.warning("%s; smsotp_up is 0 until it answers", error)
