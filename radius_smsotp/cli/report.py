"""``smsotp report``: the figures as a page."""

from __future__ import annotations

import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from radius_smsotp.cli import output, period, report_page
from radius_smsotp.cli.site import Site

FILE = click.Path(path_type=Path, allow_dash=True, dir_okay=False)


@click.command()
@click.argument("file", metavar="FILE.html", type=FILE)
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
        above = output.clean(title or f"SMS logins at {socket.gethostname()}")
        text = report_page.page(above, found, site.loaded)
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
        return
    # A web server may be reading the one that is there.
    output.write(file, text, 0o666)
    click.echo(f"{file}: {days} {'day' if days == 1 else 'days'}, {len(text) // 1000 + 1} kB")
