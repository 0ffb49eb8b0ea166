"""
The Debian package, from its installation to its purge, by docs/how-to/packages.rst.

Marked ``install``: ``sh packaging/deb/test.sh SUITE`` builds what it needs, and runs it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.documents import pages
from tests.package.test_install import PIN, System
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = os.environ.get("SMSOTP_SUITE", "")
PLACE = Path(os.environ.get("SMSOTP_INSTALL", "/nonexistent"))
"""With the system, ``SUITE-system.tar``, and the package of a version before, ``SUITE-older``."""

TOP = Path(__file__).parents[2]

SERVICES = ("courier", "events", "exporter", "receiver")

ELSEWHERE = {
    *("build", "dev", "proc", "run", "src", "sys", "tmp", "wheels"),
    *("var/cache", "var/lib/apt", "var/lib/dpkg", "var/lib/logrotate", "var/log", "var/tmp"),
}
"""Where a package leaves nothing, or what every other one leaves as well."""

pytestmark = pytest.mark.install


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A Debian on which there is what the package depends on, and FreeRADIUS runs."""
    root = tmp_path / SUITE
    root.mkdir()
    subprocess.run(["tar", "-xf", PLACE / f"{SUITE}-system.tar", "-C", root], check=True)
    (root / "src" / "dist").mkdir(parents=True)
    for source, name in ((TOP / "dist" / SUITE, SUITE), (PLACE / f"{SUITE}-older", "older")):
        [newest] = sorted(source.glob("*.deb"))[-1:]
        (root / "src" / "dist" / name).mkdir()
        (root / "src" / "dist" / name / newest.name).write_bytes(newest.read_bytes())
    one = System(root, PLACE)
    try:
        one.run("systemctl start freeradius")
        yield one
    finally:
        one.systemd.close()


def files(root: Path) -> dict[str, str]:
    """Every file of a system, and what it is."""
    found = {}
    for folder, folders, names in os.walk(root):
        inside = Path(folder).relative_to(root)
        folders[:] = [one for one in folders if str(inside / one) not in ELSEWHERE]
        for path in (Path(folder, one) for one in [*folders, *names]):
            status = path.lstat()
            mode = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
            if path.is_symlink():
                mode += f" -> {path.readlink()}"
            elif path.is_file():
                mode += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
            found[str(path.relative_to(root))] = mode
    return found


def here(commands: list[str]) -> list[str]:
    """The commands of a section, for the suite of this run; the package is built already."""
    return [one.replace("trixie", SUITE) for one in commands if "build.sh" not in one]


def test_from_the_installation_to_the_purge(system: System) -> None:
    """A site by hand, the first login, an upgrade by itself, and nothing that is left."""
    before = files(system.root)
    installation_changes_nothing(system, before)
    make_site(system, here(pages.typed("The Debian package"))[1:])
    run_services(system)
    upgrade(system, here(pages.typed("Upgrading the package")))
    upgrade_in_vain(system)
    told = system.run("apt-get purge -y radius-smsotp", status=100)
    assert "needs ours; remove that first" in told
    system.login()
    for command in here(pages.typed("Removing the package")):
        system.run(command.replace("apt-get", "apt-get -y"))
    system.runs("freeradius")
    after = files(system.root)
    assert {name for name in after if name not in before} == set()
    assert {name for name in before if after.get(name) != before[name]} == set()


def installation_changes_nothing(system: System, before: dict[str, str]) -> None:
    """Of FreeRADIUS, and of any other package; and no service of ours starts."""
    radiusd = system.runs("freeradius")
    system.run("apt-get install -y --no-install-recommends ./dist/older/radius-smsotp_*.deb")
    assert system.runs("freeradius") == radiusd
    now = files(system.root)
    changed = {name for name in before if now.get(name) != before[name]}
    assert not [name for name in changed if name.startswith(("etc/", "usr/"))]
    for name in SERVICES:
        state = f"systemctl is-enabled smsotp-{name}; systemctl is-active smsotp-{name}; true"
        assert system.run(state).split() == ["disabled", "inactive"]
    assert system.run("systemctl is-active smsotp-prune.timer").strip() == "active"
    system.run("systemctl start smsotp-prune")
    assert not system.settings.exists()
    assert system.run("stat -c %U:%G:%a /usr/bin/smsotp").strip() == "root:root:755"


def make_site(system: System, commands: list[str]) -> None:
    """As the page says, to the first login."""
    for command in commands:
        if "user add" in command:
            system.run(command, PIN=PIN, The_same_PIN_again=PIN)
        elif "smsotp login" in command:
            system.login(command)
        else:
            system.run(command)
    assert system.run("stat -c %U:%a /etc/radius-smsotp/key").strip() == "freerad:600"


def run_services(system: System) -> None:
    """Those that a site may have, with the rights that their units leave them."""
    system.run("sed -i 's/^  sink: none$/  sink: file/' /etc/radius-smsotp/smsotp.yaml")
    for name in ("exporter", "events"):
        system.run(f"systemctl enable --now smsotp-{name}")
        system.runs(f"smsotp-{name}")
    system.run("systemctl start smsotp-prune")
    shown = system.run("systemctl show --property=ExecMainStatus --value smsotp-prune")
    assert shown.strip() == "0"
    system.login()  # what happens from now on is written there
    events = system.settings / "events.json"
    eventually(lambda: events.exists() and events.read_text("utf-8"))
    system.run("logrotate --force /etc/logrotate.d/radius-smsotp")
    assert (system.settings / "events.json.1").stat().st_size


def upgrade(system: System, commands: list[str]) -> None:
    """What somebody has edited stays; all the rest is of the new version, FreeRADIUS too."""
    running = [system.runs(name) for name in ("freeradius", "smsotp-exporter")]
    edited = [
        system.settings / "smsotp.yaml",
        system.root / "etc/logrotate.d/radius-smsotp",
        system.raddb / "policy.d/smsotp_first_factor",
    ]
    for path in edited:
        path.write_text(path.read_text("utf-8") + "# mine\n", "utf-8")
    kept = [path.read_bytes() for path in edited]
    for command in commands:
        system.run(command)
    assert [path.read_bytes() for path in edited] == kept
    now = [system.runs(name) for name in ("freeradius", "smsotp-exporter")]
    assert not {*now} & {*running}
    system.run("systemctl is-enabled smsotp-exporter")
    system.login()
    version = system.run("dpkg-query -W -f '${Version}' radius-smsotp").strip()
    assert version in str([*(system.root / f"src/dist/{SUITE}").iterdir()])


def upgrade_in_vain(system: System) -> None:
    """Where settings are broken it says what to do, and leaves FreeRADIUS alone."""
    radiusd = system.runs("freeradius")
    settings = system.settings / "smsotp.yaml"
    good = settings.read_text("utf-8")
    settings.write_text(good + "colour: red\n", "utf-8")
    told = system.run(f"apt-get install -y --reinstall ./dist/{SUITE}/radius-smsotp_*.deb")
    assert "colour" in told
    assert "FreeRADIUS runs the version before" in told
    assert system.runs("freeradius") == radiusd
    settings.write_text(good, "utf-8")


def test_a_removed_package_leaves_what_cannot_be_made_again(system: System) -> None:
    """Settings, key, store, authority of Wi-Fi: installed again, it goes on with them."""
    # As on Red Hat, where nobody has installed anything by hand yet.
    system.run("rm -r /usr/local/lib/python3*")
    install = f"apt-get install -y ./dist/{SUITE}/radius-smsotp_*.deb"
    system.run(install)
    commands = here(pages.typed("The Debian package"))[1:]
    make_site(system, commands)
    authority = (system.raddb / "certs/smsotp/ca.pem").read_bytes()
    for command in here(pages.typed("Removing the package"))[:-1]:
        system.run(command)
    system.run("apt-get remove -y radius-smsotp")
    system.run("freeradius -XC >/dev/null")
    system.run(install)
    make_site(system, [one for one in commands if "user add" not in one])
    assert (system.raddb / "certs/smsotp/ca.pem").read_bytes() == authority


def test_what_comes_along_is_complete(system: System) -> None:
    """Every module of ours and every provider finds what it imports; so do both stores."""
    system.run(f"apt-get install -y --no-install-recommends ./dist/{SUITE}/radius-smsotp_*.deb")
    program = """
import sys; sys.path.insert(0, "/usr/lib/radius-smsotp")
import importlib, pkgutil, radius_smsotp, psycopg, psycopg_pool, smpplib
# FreeRADIUS's door, and tests for providers of one's own, which have a pytest.
leave = {"radius_smsotp.__main__", "radius_smsotp.hooks", "radius_smsotp.providers.contract"}
for one in pkgutil.walk_packages(radius_smsotp.__path__, "radius_smsotp."):
    if one.name not in leave: importlib.import_module(one.name)
print(radius_smsotp.errors.extra_command("smpp"))
"""
    (system.root / "src/all.py").write_text(program)
    told = system.run("/usr/bin/python3 -I all.py")
    assert told.strip() == "apt-get install --reinstall ./radius-smsotp_*.deb"
    assert "<- Access-Accept" in system.run("smsotp demo")
    system.run("smsotp --version | grep 0.1.0")
    script = """
. /usr/share/bash-completion/completions/smsotp
COMP_WORDS=(smsotp raddb ins) COMP_CWORD=2
_smsotp_completion smsotp
echo "${COMPREPLY[0]}"
"""
    (system.root / "src/completion").write_text(script)
    assert "install" in system.run("bash completion")
