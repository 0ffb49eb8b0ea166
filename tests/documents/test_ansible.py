"""The role of Ansible, as the documents show it, makes a server that people log in at."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.documents import pages
from tests.documents.pages import TOP
from tests.package.machine import SYSTEMCTL, Machine
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.server

RESTART = "Restart FreeRADIUS"

SETTINGS = """
store: sqlite:////etc/radius-smsotp/smsotp.db
key_file: /etc/radius-smsotp/key
pin: {iterations: 10000}
providers: {demo: {type: folder, path: /etc/radius-smsotp/outbox}}
"""

SHIM = r"""#!/bin/sh
# What Ansible asks of systemd besides what it has done.
case "$*" in
    daemon-reload | "enable freeradius") ;;
    "show freeradius")
        state=inactive
        ! kill -0 "$(cat /run/radiusd.pid 2>/dev/null)" 2>/dev/null || state=active
        printf 'LoadState=loaded\nActiveState=%s\n' "$state"
        ;;
    "is-enabled freeradius"*) echo enabled ;;
    "start freeradius") exec systemctl-of-debian restart freeradius ;;
    "show smsotp-prune.timer")
        state=inactive
        [ ! -e /run/smsotp-prune ] || state=active
        printf 'LoadState=loaded\nActiveState=%s\n' "$state"
        ;;
    "is-enabled smsotp-prune.timer"*)
        [ -e /run/smsotp-prune-enabled ] || { echo disabled; exit 1; }
        echo enabled
        ;;
    "enable smsotp-prune.timer")
        systemd-analyze verify /etc/systemd/system/smsotp-prune.timer
        touch /run/smsotp-prune-enabled
        ;;
    "start smsotp-prune.timer") touch /run/smsotp-prune ;;
    *) exec systemctl-of-debian "$@" ;;
esac
"""

READY = r"""
cat >/usr/local/bin/systemctl-of-debian <<'END'
{systemctl}END
cat >/usr/local/bin/systemctl <<'END'
{shim}END
chmod +x /usr/local/bin/systemctl*
echo "127.0.0.1 radius1.example.org radius localhost" >/etc/hosts
rm -f /usr/local/bin/smsotp
# The packages are there: apt need not read for seconds what else there is.
rm -rf /var/lib/apt/lists

# No network: what pip would fetch is there already, pip as well, but for what is to be installed.
/usr/bin/python3 -m venv --without-pip /opt/radius-smsotp
printf '#!/bin/sh\nexec /opt/radius-smsotp/bin/python3 -m pip "$@"\n' >/opt/radius-smsotp/bin/pip3
chmod +x /opt/radius-smsotp/bin/pip3
printf '[global]\nno-index = true\nfind-links = {wheels}\n' >/opt/radius-smsotp/pip.conf
cd {libraries}
for one in *; do
    case $one in
        radius_smsotp* | __*) ;;
        *) ln -s "$PWD/$one" /opt/radius-smsotp/lib/python3*/site-packages/ 2>/dev/null || : ;;
    esac
done

cd {top}
echo "radius1.example.org ansible_connection=local" >hosts
cat >site.yml <<'END'
{playbook}END
cat >smsotp.yaml <<'END'
{settings}END
mkdir group_vars
cat >group_vars/all.yml <<END
smsotp_key: |
  k20261201-0badcafe $(openssl rand -hex 32)
  p20261201-0badcafe $(openssl rand -hex 32) pin
END
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One with FreeRADIUS, Ansible, and the package as a wheel."""
    folder = tmp_path_factory.mktemp("wheels")
    names = ["LICENSE", "README.rst", "pyproject.toml", "setup.py", "freeradius", "radius_smsotp"]
    (folder / "src").mkdir()
    subprocess.run(["cp", "-a", *(TOP / name for name in names), folder / "src"], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", folder, folder / "src"], check=True)
    section = pages.section("With Ansible")
    [playbook] = re.findall(r"\.\. code-block:: yaml\n\n((?:(?: {6}[^\n]*)?\n)+)", section)
    with Machine(TOP, ANSIBLE_PIPELINING="1", ANSIBLE_GATHERING="explicit") as one:
        one.do(
            READY.format(
                systemctl=SYSTEMCTL,
                shim=SHIM,
                wheels=folder,
                libraries=Path(pytest.__file__).parents[1],
                top=TOP,
                playbook=textwrap.dedent(playbook),
                settings=SETTINGS,
            )
        )
        one.type(f"cd {TOP}")
        yield one


def play(machine: Machine, command: str) -> list[str]:
    """Run the playbook, which must end well.  Returns the tasks that have changed something."""
    status, told = machine.type(command, seconds=300)
    assert status == 0, told
    parts = re.split(r"^(?:TASK|RUNNING HANDLER) \[smsotp : (.*?)\].*$", told, flags=re.MULTILINE)
    tasks = zip(parts[1::2], parts[2::2], strict=True)
    return [name for name, done in tasks if re.search(r"^changed:", done, re.MULTILINE)]


def accounts(machine: Machine) -> str:
    return machine.do("smsotp user list")


def code(machine: Machine) -> str:
    """That of the one message that was sent."""
    [text] = eventually(
        lambda: re.findall(
            r'"text": "(\d{6}) ',
            machine.do("cat /etc/radius-smsotp/outbox/*.json 2>/dev/null || :"),
        )
    )
    return str(text)


def test_the_second_time_nothing_has_changed(machine: Machine) -> None:
    """Somebody logs in at what it has made; --check says what would change, and changes nothing."""
    make, copy, look, do = pages.typed("With Ansible")
    for command in (make, copy):
        assert machine.type(command)[0] == 0
    assert play(machine, look) == ["The package, in an environment of its own", RESTART]
    machine.do("! [ -e /etc/radius-smsotp ] && ! [ -e /opt/radius-smsotp/bin/smsotp ]")
    assert len(play(machine, do)) == 12
    answers = {"PIN: ": lambda: "2580", "gesendet wurde: ": lambda: code(machine)}
    status, told = machine.type("smsotp login alice --secret testing123", answers, seconds=60)
    assert (status, "Access-Accept" in told) == (0, True), told
    assert "sealed with p20261201-0badcafe" in machine.do("smsotp user show alice")
    before = accounts(machine)
    assert re.search(r"^alice .* yes .* de +enabled$", before, re.MULTILINE)
    assert re.search(r"^bob .* disabled$", before, re.MULTILINE)
    assert play(machine, do) == []
    machine.do(f"""cd {TOP}
        sed -i 's/language: de/language: fr/; s/roles: .*/gather_facts: false/' site.yml
        printf '  tasks: [{{import_role: {{name: smsotp, tasks_from: accounts}}}}]' >>site.yml""")
    assert play(machine, look) == ["The accounts"]
    assert accounts(machine) == before
