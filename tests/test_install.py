"""
Installing, upgrading and removing, with the commands of README.rst.

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

from tests.engine import Terminal
from tests.radius.site import eventually
from tests.radius.supplicant import PEAP_GTC, Supplicant
from tests.test_raddb import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).parents[1]
README = (TOP / "README.rst").read_text("utf-8")
PLACE = Path(os.environ.get("SMSOTP_INSTALL", "/nonexistent"))

PIN = "2580"
SECRET = "testing123"

SYSTEMCTL = """#!/bin/sh
# There is no systemd here: this does what it would, as the unit of Debian says.
[ "$*" = "restart freeradius" ] || exit 1
[ ! -e /tmp/radiusd.pid ] || { kill "$(cat /tmp/radiusd.pid)"; rm /tmp/radiusd.pid; sleep 1; }
unit=$(echo /usr/lib/systemd/system/freeradius.service)
user=$(sed -n 's/^User=//p' "$unit")
install -d -o freerad -g freerad /run/freeradius
setsid setpriv --reuid "${user:-freerad}" --regid freerad --init-groups \\
    freeradius -f >/tmp/radiusd.out 2>&1 </dev/null &
echo $! >/tmp/radiusd.pid
"""

pytestmark = pytest.mark.install


def block(heading: str) -> list[str]:
    """The commands of the first literal block below a heading of README.rst."""
    text = README.partition(f"\n{heading}\n")[2].partition("::\n\n")[2]
    return [
        line.strip() for line in text[: re.search(r"(?m)^\S", text).start()].splitlines() if line
    ]  # type: ignore[union-attr]


class System:
    """A Debian in a folder, and somebody at its terminal."""

    port = 1812

    def __init__(self, root: Path) -> None:
        self.root = root
        self.raddb = root / "etc/freeradius/3.0"
        self.folder = self.raddb
        self.settings = root / "etc/radius-smsotp"
        systemctl = root / "usr/local/bin/systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)
        (root / "etc/hosts").write_text("127.0.0.1 radius.example.org radius localhost\n")
        (root / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        for name, source in (("proc", "/proc"), ("dev", "/dev"), ("wheels", f"{PLACE}/wheels")):
            (root / name).mkdir(exist_ok=True)
            subprocess.run(["mount", "--bind", source, root / name], check=True)
        self.copy(TOP, "src")
        self.copy(PLACE / "older", "older")

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
        line = ["/usr/sbin/chroot", str(self.root), "/bin/sh", "-c", f"cd /{folder} && {command}"]
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb"}
        with Terminal(line, environment) as terminal:
            for question, answer in answers.items():
                terminal.wait_for(question.replace("_", " "))
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
        line = ["/usr/sbin/chroot", str(self.root), "/bin/sh", "-c", command]
        with Terminal(line, {"PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "dumb"}) as terminal:
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

    def started(self, times: int = 1) -> None:
        """Wait until FreeRADIUS answers for that time; it runs as who it is to run as."""
        pid = int((self.root / "tmp/radiusd.pid").read_text())
        ready = "Ready to process requests"
        eventually(lambda: self.log().count(ready) >= times or not alive(pid))
        assert alive(pid), self.log()
        status = Path(f"/proc/{pid}/status").read_text()
        uid = self.run("id -u freerad").strip()
        assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status

    def close(self) -> None:
        """End FreeRADIUS, and let go of the folder."""
        path = self.root / "tmp/radiusd.pid"
        if path.exists():
            subprocess.run(["kill", path.read_text().strip()], check=False)
        for name in ("wheels", "dev", "proc"):
            subprocess.run(["umount", "--lazy", self.root / name], check=False)


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture(params=["bookworm", "trixie"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """A Debian with FreeRADIUS and Python as they come, and a checkout in /src."""
    root = tmp_path / request.param
    root.mkdir()
    subprocess.run(["tar", "-xf", PLACE / f"{request.param}.tar", "-C", root], check=True)
    one = System(root)
    try:
        yield one
    finally:
        one.close()


def test_the_first_hour(system: System) -> None:
    """Each line of README, as it stands there; then a login by Wi-Fi; then the way back."""
    before = snapshot(system.raddb)
    commands = block("Add it to the FreeRADIUS you run\n" + "-" * 32)
    assert commands[0].startswith("apt-get install ")
    assert len(commands) == 10
    for command in commands:
        if "user add" in command:
            system.run(command, PIN=PIN, The_same_PIN_again=PIN)
        elif "smsotp login" in command:
            system.started()
            system.login(command)
        elif command.startswith("apt-get"):
            assert "0 newly installed" in system.run(command)
        else:
            system.run(command)
    system.wifi()
    assert (system.settings / "key").stat().st_mode & 0o777 == 0o600
    shown = json.loads(system.run("smsotp check --json"))
    assert not [line for line in shown if line["level"] == "error"]
    with (system.raddb / "policy.d/smsotp").open("a") as file:
        file.write("# mine\n")
    for command in block("Removing it\n" + "~" * 11):
        system.run(command)
    # Without effect, and FreeRADIUS starts all the same.
    left = {name for name in snapshot(system.raddb) if name not in before}
    assert left == {"policy.d/smsotp", "certs/smsotp"} | {
        f"certs/smsotp/{name}" for name in ("ca.pem", "ca.key", "server.pem", "server.key")
    }
    system.run("smsotp raddb uninstall --purge")
    assert snapshot(system.raddb) == before


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
    system.started()
    system.login()
    key = (system.settings / "key").read_bytes()
    settings = (system.settings / "smsotp.yaml").read_text("utf-8")
    (system.settings / "smsotp.yaml").write_text(settings + "# mine\n", "utf-8")
    policy = system.raddb / "policy.d/smsotp"
    policy.write_text(policy.read_text("utf-8") + "# mine\n", "utf-8")
    commands = block("Upgrading\n" + "~" * 9)
    refusing = commands.index("smsotp raddb install")
    for command in commands[:refusing]:
        system.run(command)
    # The first version's policy knows nothing of Wi-Fi, and an edited one is not replaced.
    assert "was edited in an older version" in system.run(commands[refusing], status=1)
    system.run("freeradius -XC >/dev/null")
    new = (system.root / "src/freeradius/policy.d/smsotp").read_text("utf-8")
    policy.write_text(new + "# mine\n", "utf-8")
    shown = "".join(system.run(command) for command in commands[refusing:])
    assert "edited     /etc/freeradius/3.0/policy.d/smsotp: kept" in shown
    assert "written    /etc/freeradius/3.0/sites-available/smsotp" in shown
    assert policy.read_text("utf-8").endswith("# mine\n")
    assert (system.settings / "key").read_bytes() == key
    assert (system.settings / "smsotp.yaml").read_text("utf-8").endswith("# mine\n")
    system.started(2)
    system.run("smsotp user list | grep alice")
    system.login()
    system.wifi()
