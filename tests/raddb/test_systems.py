"""
FreeRADIUS as each system lays it out: found by looking, and able to read what is added.

Trees with the owners, modes, places, binaries, users and units of the packages; what runs is
Debian's alone.  Sources: redhat/freeradius.spec, suse/freeradius.spec and debian/ in FreeRADIUS's
own repository, Fedora's and Alpine's packages.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp import errors
from radius_smsotp.cli.check import raddb as check_raddb
from radius_smsotp.cli.site import acting_as
from radius_smsotp.raddb import files, freeradius, install

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = Path("/etc/radius-smsotp/smsotp.yaml")

IDS = {"root": 0, "freerad": 64101, "radiusd": 64102, "radius": 64103}
"""Users and groups of the trees; none of them has to be on this machine."""


@dataclass(frozen=True)
class Layout:
    """
    What a package makes.

    Attributes:
        libdir: As ``radiusd.conf`` has it.
        owner: Of raddb and all that is in it, and its group.
        modes: Of folders and files there.
        user: As ``radiusd.conf`` has it; "" if it says none.
        unit: What starts it.
        manager: What installs packages.
    """

    program: str
    version: tuple[int, int, int]
    raddb: str
    libdir: str
    owner: tuple[str, str]
    modes: tuple[int, int]
    user: str
    unit: str
    manager: str


SYSTEMD = "usr/lib/systemd/system"
FREERADIUS, RADIUSD = (f"{SYSTEMD}/{name}.service" for name in ("freeradius", "radiusd"))

LAYOUTS = {
    "ubuntu-22.04": Layout(
        "usr/sbin/freeradius", (3, 0, 26), "etc/freeradius/3.0", "/usr/lib/freeradius",
        ("freerad", "freerad"), (0o755, 0o640), "freerad", FREERADIUS, "apt-get",
    ),
    "ubuntu-26.04": Layout(
        "usr/sbin/freeradius", (3, 2, 8), "etc/freeradius/3.0", "/usr/lib/freeradius",
        ("freerad", "freerad"), (0o755, 0o640), "freerad", FREERADIUS, "apt-get",
    ),
    "inkbridge": Layout(
        "usr/sbin/freeradius", (3, 2, 8), "etc/freeradius", "/usr/lib/freeradius",
        ("root", "freerad"), (0o2751, 0o640), "freerad", FREERADIUS, "apt-get",
    ),
    "rhel-10": Layout(
        "usr/sbin/radiusd", (3, 2, 5), "etc/raddb", "/usr/lib64/freeradius",
        ("root", "radiusd"), (0o750, 0o640), "radiusd", RADIUSD, "dnf",
    ),
    "opensuse": Layout(
        "usr/sbin/radiusd", (3, 2, 8), "etc/raddb", "/usr/lib64/freeradius",
        ("root", "radiusd"), (0o750, 0o640), "radiusd", RADIUSD, "zypper",
    ),
    "alpine": Layout(
        "usr/sbin/radiusd", (3, 0, 27), "etc/raddb", "/usr/lib/freeradius",
        ("root", "radius"), (0o750, 0o640), "radius", "etc/init.d/radiusd", "apk",
    ),
    "source": Layout(
        "usr/local/sbin/radiusd", (3, 2, 7), "usr/local/etc/raddb", "${exec_prefix}/lib",
        ("root", "root"), (0o750, 0o640), "", "", "",
    ),
}  # fmt: skip


class Tree:
    """A system with one of them, below a folder."""

    def __init__(self, root: Path, layout: Layout) -> None:
        self.layout = layout
        self.program = root / layout.program
        self.raddb = root / layout.raddb
        prefix = self.program.parent.parent
        said = layout.libdir
        self.libdir = prefix / "lib" if "$" in said else root / said.lstrip("/")
        for folder in (self.program.parent, self.libdir, root / "bin", self.raddb):
            folder.mkdir(parents=True, exist_ok=True)
        version = ".".join(map(str, layout.version))
        self._script(
            self.program,
            f'case "$1" in\n-v) echo "radiusd: FreeRADIUS Version {version}, for host x";;\n'
            '-h) echo "  -d <raddb>    Set configuration directory '
            f'(defaults to {self.raddb})." >&2;;\nesac',
        )
        (self.libdir / "rlm_python3.so").touch()
        for name in ("mods-available", "mods-enabled", "sites-available", "sites-enabled"):
            (self.raddb / name).mkdir()
        for name in ("certs", "mods-config", "policy.d"):
            (self.raddb / name).mkdir()
        user = f"\tuser = {layout.user}\n" if layout.user else "#\tuser = radius\n"
        (self.raddb / "radiusd.conf").write_text(
            f"prefix = {prefix}\nexec_prefix = ${{prefix}}\n"
            f"libdir = {said if '$' in said else self.libdir}\n"
            f"security {{\n{user}}}\n"
            "$INCLUDE clients.conf\nmodules {\n\t$INCLUDE mods-enabled/\n}\n"
            "policy {\n\t$INCLUDE policy.d/\n}\n$INCLUDE sites-enabled/\n"
        )
        (self.raddb / "clients.conf").write_text("client localhost {\n\tipaddr = 127.0.0.1\n}\n")
        (self.raddb / "dictionary").write_text("")
        for path in (self.raddb, *self.raddb.rglob("*")):
            os.chown(path, *(IDS[one] for one in layout.owner))
            path.chmod(layout.modes[path.is_file()])
        if layout.unit:
            (root / layout.unit).parent.mkdir(parents=True)
            (root / layout.unit).touch()
        for one in ("rc-service",) if "init.d" in layout.unit else ():
            self._script(root / "bin" / one, "")
        if layout.manager:
            self._script(root / "bin" / layout.manager, "")
        openssl = next(
            one for one in (Path("/usr/bin/openssl"), Path("/bin/openssl")) if one.exists()
        )
        (root / "bin" / "openssl").symlink_to(openssl)
        self.path = f"{self.program.parent}:{root / 'bin'}"

    def _script(self, path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    @property
    def user(self) -> pwd.struct_passwd:
        """Whom FreeRADIUS runs as."""
        return person(self.layout.user or "root")


def person(name: str) -> pwd.struct_passwd:
    """A user of a tree."""
    number = IDS[name]
    return pwd.struct_passwd((name, "x", number, number, "", "/nonexistent", "/bin/false"))


@pytest.fixture(params=LAYOUTS)
def tree(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tree]:
    """Each of them, where every user can get to, as the only one there is."""
    if os.geteuid() != 0:
        pytest.skip("owners are what it is about: root can make them")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        made = Tree(root, LAYOUTS[request.param])
        monkeypatch.setenv("PATH", made.path)
        monkeypatch.setattr(errors, "RADDBS", tuple(f"{root}{one}" for one in errors.RADDBS))
        monkeypatch.setattr(freeradius, "RADDBS", errors.RADDBS)
        monkeypatch.setattr(freeradius, "PLACES", ())
        monkeypatch.setattr(freeradius, "UNITS", tuple(f"{root}{one}" for one in freeradius.UNITS))
        monkeypatch.setattr(freeradius, "SCRIPTS", f"{root}{freeradius.SCRIPTS}")
        users = {made.layout.user, "root"}

        def getpwnam(name: str) -> pwd.struct_passwd:
            if name not in users:
                raise KeyError(name)
            return person(name)

        monkeypatch.setattr(pwd, "getpwnam", getpwnam)
        yield made


def test_it_is_found_by_looking(tree: Tree) -> None:
    """Program, version, raddb, modules, user."""
    server = freeradius.installed()
    assert server.program == tree.program
    assert server.version == tree.layout.version
    assert server.raddb == tree.raddb == freeradius.raddb()
    assert server.libdir == str(tree.libdir)
    assert server.module("python3") == tree.libdir / "rlm_python3.so"
    user = errors.freeradius_user()
    assert (user.pw_name if user else "") == tree.layout.user
    # Without the program, the places are known.
    tree.program.unlink()
    assert freeradius.raddb() == tree.raddb


def test_remedies_name_what_is_there(tree: Tree) -> None:
    command = errors.package_command("freeradius", "freeradius-python3")
    assert (
        command
        == {
            "apt-get": "apt-get install freeradius freeradius-python3",
            "dnf": "dnf install freeradius python3-freeradius",
            "zypper": "zypper install freeradius-server freeradius-server-python3",
            "apk": "apk add freeradius freeradius-python3",
            "": "install freeradius and freeradius-python3",
        }[tree.layout.manager]
    )
    service = Path(tree.layout.unit).stem
    told = {
        SYSTEMD: f": systemctl restart {service}",
        "etc/init.d": f": rc-service {service} restart",
    }
    where = str(Path(tree.layout.unit).parent) if tree.layout.unit else ""
    assert freeradius.restart() == f"restart FreeRADIUS{told.get(where, '')}"


def test_what_is_added_its_user_can_read_and_others_cannot(tree: Tree) -> None:
    """Whoever owns raddb; and what an earlier version has closed is opened by the next one."""
    server = freeradius.installed()
    install.install(tree.raddb, SETTINGS, server, name="radius.example.org")
    secrets = [files.GTC, f"{files.CERTIFICATES}/server.key"]
    read = check_raddb.needed(tree.raddb)
    assert {*secrets, files.POLICY, "mods-available/eap_smsotp"} <= {*read}
    with acting_as(tree.user):
        assert [one for one in read if not os.access(tree.raddb / one, os.R_OK)] == []
    for name in [*secrets, f"{files.CERTIFICATES}/ca.key"]:
        assert not (tree.raddb / name).stat().st_mode & stat.S_IRWXO
    assert not (tree.raddb / files.CERTIFICATES / "ca.key").stat().st_mode & stat.S_IRWXG
    assert check_raddb.closed_findings(tree.raddb, tree.user) == []
    # As versions before this one left them.
    for name in secrets:
        (tree.raddb / name).chmod(0o600)
    is_roots = tree.layout.owner[0] == "root" != tree.layout.owner[1]
    found = check_raddb.closed_findings(tree.raddb, tree.user)
    assert [one.level for one in found] == ["error"] * is_roots
    for one in found:
        assert one.remedy == f"smsotp raddb install --raddb {tree.raddb}"
    done = install.install(tree.raddb, SETTINGS, server)
    assert done.written == secrets * is_roots
    assert check_raddb.closed_findings(tree.raddb, tree.user) == []


def test_a_raddb_of_our_own_loads_the_modules_of_that_freeradius(
    tree: Tree, tmp_path: Path
) -> None:
    """Those of another version do not load."""
    install.create(tmp_path / "raddb", SETTINGS, freeradius.installed(), name="radius.example.org")
    text = (tmp_path / "raddb" / "radiusd.conf").read_text()
    assert re.findall(r"(?m)^libdir = (.*)$", text) == [str(tree.libdir)]
