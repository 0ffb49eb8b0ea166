"""Debian's own raddb, with ours added by ``smsotp raddb install``, called as the documents say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from radius_smsotp.raddb import install
from tests.freeradius import recipe
from tests.support.freeradius import Radiusd, Site
from tests.support.ports import free_port
from tests.support.radius import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

STOCK = Path("/etc/freeradius/3.0")


def copy(site: Site, name: str) -> tuple[Path, int]:
    """Debian's raddb with ours beside it, on a port of its own; nothing calls ours yet."""
    folder, port = site.folder / name, free_port()
    shutil.copytree(STOCK, folder, symlinks=True)
    for part in ("log", "run"):
        (folder / part).mkdir()
    replace(folder / "radiusd.conf", r"^\s*(?:user|group) = .*$", "")
    replace(folder / "radiusd.conf", r"^raddbdir = .*$", f"raddbdir = {folder}")
    replace(folder / "radiusd.conf", r"^logdir = .*$", f"logdir = {folder}/log")
    replace(folder / "radiusd.conf", r"^run_dir = .*$", f"run_dir = {folder}/run")
    replace(folder / "radiusd.conf", r"reject_delay = .*$", "reject_delay = 0")
    listen = f"listen {{\n\ttype = auth\n\tipaddr = 127.0.0.1\n\tport = {port}\n}}\n"
    listen += f"listen {{\n\ttype = acct\n\tipaddr = 127.0.0.1\n\tport = {free_port()}\n}}\n"
    text = (folder / "sites-available" / "default").read_text()
    start, end = text.index("\nlisten {"), text.index("\nauthorize {")
    (folder / "sites-available" / "default").write_text(f"{text[:start]}\n{listen}{text[end:]}")
    replace(folder / "sites-available" / "inner-tunnel", r"port = 18120", f"port = {free_port()}")
    assert SECRET in (folder / "clients.conf").read_text()
    # Machines have one of these, the container of a test may not.
    for kind, file in (("private_key", "server.key"), ("certificate", "server.pem")):
        path = folder / "certs" / "smsotp" / file
        replace(
            folder / "mods-available" / "eap", rf"^\s*{kind}_file = .*$", f"{kind}_file = {path}"
        )
    assert site.server is not None
    install.install(
        folder, site.settings_path, site.server, gtc_port=free_port(), name="radius.example.org"
    )
    return folder, port


def start(site: Site, name: str, edit: Callable[[Path], None]) -> Radiusd:
    """Start it, edited."""
    folder, port = copy(site, name)
    edit(folder)
    daemon = Radiusd(site, folder, port)
    site.daemons.append(daemon)
    daemon.start()
    return daemon


def replace(path: Path, pattern: str, text: str, count: int = 0) -> None:
    """Replace a pattern of lines; it must be there."""
    found, times = re.subn(
        pattern, lambda _: text, path.read_text(), count=count, flags=re.MULTILINE
    )
    assert times, (path, pattern)
    path.write_text(found)


def call(
    folder: Path, before: str = "pap", site: str = "default", title: str = "What goes where"
) -> None:
    """
    Call the policies in a site, as docs/reference/files.rst says.

    Args:
        before: The line of ``authorize`` above which `smsotp_authorize` goes.
        title: Of the recipe that says so; see `recipe.calls`.
    """
    path = folder / "sites-available" / site
    for name, lines in recipe.calls(title).items():
        if name == "authorize":
            replace(path, rf"^\t{before}$", lines + f"\t{before}", 1)
        elif name[0].isupper():
            line = f"Post-Auth-Type {name} {{"
            replace(path, rf"{line}$", f"{line}\n{lines}", 1)
        else:
            replace(path, rf"^{name} \{{$", f"{name} {{\n{lines}", 1)
