"""``smsotp report``: the figures as a page."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from radius_smsotp.cli import period, report_page
from radius_smsotp.cli.site import Site


@click.command()
@click.argument("file", metavar="FILE.html", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    metavar="N",
    default=30,
    show_default=True,
    help="The last so many days, today among them.",
)
@click.option(
    "--title", metavar="TEXT", help="What stands above it.  [default: SMS logins at this host]"
)
@click.pass_obj
def report(config: Path, file: Path, days: int, title: str | None) -> None:
    """
    Write the figures as one page for a browser, with charts.

    The page is one file that needs nothing else: send it, put it on a web server, print it.
    It holds no names of users and no numbers.  A file that is there is replaced; - is standard
    output.

    \b
    Examples:
      smsotp report november.html
      smsotp report /var/www/html/sms.html --days 7 --title "VPN logins"
    """
    with Site(config) as site:
        found = period.look(site.store, days, datetime.now(UTC))
        text = report_page.page(
            title or f"SMS logins at {socket.gethostname()}", found, site.loaded
        )
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
        return
    # Whole or not at all: a web server may be reading it.
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
    click.echo(f"{file}: {days} {'day' if days == 1 else 'days'}, {len(text) // 1000 + 1} kB")
