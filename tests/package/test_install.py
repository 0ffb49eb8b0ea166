"""
Installing, upgrading and removing, with the commands of the documents.

Marked ``install``: ``sh tests/install.sh`` makes the systems that it needs, and runs it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.documents import pages
from tests.freeradius.supplicant import PEAP_GTC, Supplicant
from tests.package.engine import Terminal
from tests.raddb.test_install import snapshot
from tests.support.site import eventually
from tests.support.systemd import Systemd

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[2]
PLACE = Path(os.environ.get("SMSOTP_INSTALL", "/nonexistent"))

PIN = "2580"
SECRET = "testing123"

pytestmark = pytest.mark.install


class System:
    """
    A Debian in a folder, and somebody at its terminal.

    Args:
        wheels: See `Systemd`.
    """

    port = 1812

    def __init__(self, root: Path, wheels: Path) -> None:
        self.umask = "umask 022"
        self.root = root
        self.raddb = root / "etc/freeradius/3.0"
        self.folder = self.raddb
        self.settings = root / "etc/radius-smsotp"
        (root / "etc/hostname").write_text("radius\n")
        (root / "etc/hosts").write_text("127.0.0.1 radius.example.org radius localhost\n")
        (root / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        self.systemd = Systemd(root, wheels)

    def copy(self, source: Path, name: str) -> None:
        """Put a checkout into it."""
        leave = shutil.ignore_patterns(".venv", ".cache", ".git", "__pycache__")
        shutil.copytree(source, self.root / name, ignore=leave)

    def run(self, command: str, folder: str = "src", status: int = 0, **answers: str) -> str:
        """
        Run a command as root at a terminal, which must end with `status`.

        Args:
            answers: What is typed when such a question has been asked.
        """
        if command.startswith("umask "):
            self.umask = command
        command = f"{self.umask} && {command}"
        with Terminal(self.systemd.command(command, f"/{folder}"), dict(os.environ)) as terminal:
            for question, answer in answers.items():
                # With the space: before it, the terminal still shows, and forgets, what is typed.
                terminal.wait_for(f"{question.replace('_', ' ')}: ")
                terminal.type(answer)
            assert terminal.status(120) == status, f"{command}\n{terminal.shown}"
        return terminal.shown

    def messages(self) -> list[Path]:
        """What the provider of a new installation has written, oldest first."""
        return sorted(
            (self.settings / "outbox").glob("*.json"), key=lambda one: one.stat().st_mtime
        )

    def code(self, known: list[Path]) -> str:
        """The code of the message that has come since."""
        new = eventually(lambda: [one for one in self.messages() if one not in known])
        text = json.loads(new[-1].read_text("utf-8"))["text"]
        found: str = re.findall(r"\b\d{6}\b", text)[0]
        return found

    def login(self, command: str = f"smsotp login alice --secret {SECRET}") -> None:
        """PIN and code, typed at the prompts of our own client."""
        known = self.messages()
        with Terminal(self.systemd.command(command), dict(os.environ)) as terminal:
            terminal.wait_for("PIN: ")
            terminal.type(PIN)
            terminal.wait_for("sent to ***67: ")
            terminal.type(self.code(known))
            assert terminal.status() == 0, terminal.shown
            assert "<- Access-Accept" in terminal.shown

    def wifi(self) -> None:
        """The same at a Wi-Fi device, inside a tunnel."""
        known = self.messages()
        with Supplicant(self, PEAP_GTC) as device:  # type: ignore[arg-type]  # it has port and folder
            assert device.question() == "PIN: "
            assert device.answer(PIN)
            assert device.answer(self.code(known)) is None
            assert device.accepted()

    def log(self) -> str:
        """What FreeRADIUS has written."""
        path = self.root / "var/log/freeradius/radius.log"
        return path.read_text("utf-8") if path.exists() else ""

    def runs(self, unit: str) -> int:
        """A service runs, as who it is to run as.  Returns its process, by its number inside."""
        pid = self.systemd.main_pid(unit)
        assert pid, self.systemd.run(f"journalctl --no-pager --unit {unit}")
        # Before it is the program it is systemd, as root.
        owner = f"stat --format %U:%G /proc/{pid}"
        eventually(lambda: self.systemd.run(owner).strip() == "freerad:freerad")
        return pid


@pytest.fixture(params=["bookworm", "trixie", "forky"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """A Debian with FreeRADIUS and Python as they come, and a checkout in /src."""
    root = tmp_path / request.param
    root.mkdir()
    subprocess.run(["tar", "-xf", PLACE / f"{request.param}.tar", "-C", root], check=True)
    one = System(root, PLACE / "wheels")
    try:
        one.copy(TOP, "src")
        one.copy(PLACE / "older", "older")
        yield one
    finally:
        one.systemd.close()


def test_the_first_hour(system: System) -> None:
    """Each line of the tutorial, as it stands there; then a login by Wi-Fi; then the way back."""
    before = snapshot(system.raddb)
    system.umask = "umask 077"
    commands = pages.typed("Add it to the FreeRADIUS you run")
    assert commands[1].startswith("apt-get install ")
    commands += pages.typed("The first user, the first login")
    for command in commands:
        if "user add" in command:
            system.run(command, PIN=PIN, The_same_PIN_again=PIN)
        elif "smsotp login" in command:
            system.runs("freeradius")
            system.login(command)
        elif command.startswith("apt-get"):
            assert "0 newly installed" in system.run(command)
        elif command.startswith("tail"):
            assert "is your login code" in system.run(command)
        else:
            system.run(command)
    system.wifi()
    assert (system.settings / "key").stat().st_mode & 0o777 == 0o600
    shown = json.loads(system.run("smsotp check --json"))
    assert not [line for line in shown if line["level"] == "error"]
    with (system.raddb / "policy.d/smsotp").open("a") as file:
        file.write("# mine\n")
    for command in pages.typed("Removing it"):
        system.run(command)
    # Without effect, and FreeRADIUS starts all the same.
    left = {name for name in snapshot(system.raddb) if name not in before}
    assert left == {"policy.d/smsotp", "certs/smsotp"} | {
        f"certs/smsotp/{name}" for name in ("ca.pem", "ca.key", "server.pem", "server.key")
    }
    system.run("smsotp raddb uninstall --purge")
    assert snapshot(system.raddb) == before


def test_systemd_runs_courier_and_exporter(system: System) -> None:
    """As the units in freeradius/ say at their top; with the rights that they leave them."""
    for command in (
        "/usr/bin/python3 -m venv /opt/radius-smsotp",
        "/opt/radius-smsotp/bin/pip install -c packaging/constraints.txt .",
        "ln -s /opt/radius-smsotp/bin/smsotp /usr/local/bin/smsotp",
        "smsotp init /etc/radius-smsotp",
        "sed -i 's/^  courier: internal/  courier: external/' /etc/radius-smsotp/smsotp.yaml",
        f"echo {PIN} | smsotp user add alice --phone +491701234567 --pin-stdin",
        "smsotp raddb install",
        r"sed -i 's/^client localhost {/&\n\tvirtual_server = smsotp/' "
        "/etc/freeradius/3.0/clients.conf",
        "systemctl restart freeradius",
    ):
        system.run(command)
    for unit in ("smsotp-courier", "smsotp-exporter"):
        text = (TOP / f"freeradius/systemd/{unit}.service").read_text("utf-8")
        for command in re.findall(r"(?m)^#\t(.+)$", text):
            system.run(command, "src/freeradius/systemd")
        assert system.systemd.run(f"systemctl is-enabled {unit}").strip() == "enabled"
    system.login()
    courier = system.runs("smsotp-courier")
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9812/metrics').read().decode())"
    system.runs("smsotp-exporter")
    # It is started, and does not listen yet.
    again = f'until /usr/bin/python3 -c "{ask}" 2>/dev/null; do sleep 0.5; done'
    shown = system.run(again)
    assert 'smsotp_logins_total{method="code"} 1.0' in shown
    # Who dies comes back; who is told to end does so in time; and whose settings are wrong stays
    # down until somebody mends them.
    system.run(f"kill -KILL {courier}")
    eventually(lambda: system.systemd.main_pid("smsotp-courier") not in {0, courier})
    system.login()
    result = "systemctl show --property=Result --value smsotp-courier"
    system.run("systemctl stop smsotp-courier")
    assert system.systemd.run(result).strip() == "success"
    system.run("echo 'colour: red' >>/etc/radius-smsotp/smsotp.yaml")
    system.run("systemctl start smsotp-courier")
    eventually(lambda: system.systemd.run(result).strip() == "exit-code")
    count = "systemctl show --property=NRestarts --value smsotp-courier"
    assert system.systemd.run(count).strip() == "0"
    # What is past its use goes once a day.
    system.run("sed -i '/^colour: red$/d' /etc/radius-smsotp/smsotp.yaml")
    text = (TOP / "freeradius/systemd/smsotp-prune.timer").read_text("utf-8")
    for command in re.findall(r"(?m)^#\t(.+)$", text):
        system.run(command, "src/freeradius/systemd")
    assert system.systemd.run("systemctl is-active smsotp-prune.timer").strip() == "active"
    system.run("systemctl start smsotp-prune")
    result = "systemctl show --property=Result,ExecMainStatus --value smsotp-prune"
    assert system.systemd.run(result).split() == ["success", "0"]


def test_an_upgrade_keeps_what_is_there(system: System) -> None:
    """From the first version on: settings, key, accounts, and what was edited in raddb."""
    for command in (
        "/usr/bin/python3 -m venv /opt/radius-smsotp",
        "/opt/radius-smsotp/bin/pip install .",
        "ln -s /opt/radius-smsotp/bin/smsotp /usr/local/bin/smsotp",
        "smsotp init /etc/radius-smsotp",
        f"echo {PIN} | smsotp user add alice --phone +491701234567 --pin-stdin",
        "smsotp raddb install",
        r"sed -i 's/^client localhost {/&\n\tvirtual_server = smsotp/' "
        "/etc/freeradius/3.0/clients.conf",
        "systemctl restart freeradius",
    ):
        system.run(command, "older")
    system.runs("freeradius")
    system.login()
    key = (system.settings / "key").read_bytes()
    settings = (system.settings / "smsotp.yaml").read_text("utf-8")
    (system.settings / "smsotp.yaml").write_text(settings + "# mine\n", "utf-8")
    policy = system.raddb / "policy.d/smsotp"
    policy.write_text(policy.read_text("utf-8") + "# mine\n", "utf-8")
    commands = pages.typed("Upgrading")
    refusing = commands.index("smsotp raddb install")
    for command in commands[:refusing]:
        system.run(command)
    # The first version's policy knows nothing of Wi-Fi, and an edited one is not replaced.
    assert "was edited in an older version" in system.run(commands[refusing], status=1)
    system.run("freeradius -XC >/dev/null")
    new = (system.root / "src/freeradius/raddb/policy.d/smsotp").read_text("utf-8")
    policy.write_text(new + "# mine\n", "utf-8")
    shown = "".join(system.run(command) for command in commands[refusing:])
    assert "edited     /etc/freeradius/3.0/policy.d/smsotp: kept" in shown
    assert "written    /etc/freeradius/3.0/sites-available/smsotp" in shown
    assert policy.read_text("utf-8").endswith("# mine\n")
    assert (system.settings / "key").read_bytes() == key
    assert (system.settings / "smsotp.yaml").read_text("utf-8").endswith("# mine\n")
    system.runs("freeradius")
    system.run("smsotp user list | grep alice")
    system.login()
    system.wifi()
