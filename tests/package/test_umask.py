"""Installed under a strict umask, on a FreeRADIUS that runs as its own user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.documents.pages import TOP
from tests.support.typist import PIN, Typist, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.package.machine import Machine

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Only the program is on it."""
    with prepare() as one:
        one.do("mkdir -p /srv/work")
        yield one


FIRST_HOUR = r"""
systemctl stop freeradius
if [ -e /etc/radius-smsotp ]; then
    rm -r /etc/radius-smsotp
    sed -i '/virtual_server = smsotp$/d' /etc/freeradius/3.0/clients.conf
    smsotp raddb uninstall --purge
fi
umask {umask}
smsotp init /etc/radius-smsotp
smsotp raddb install
sed -i 's/^client localhost {{/&\n\tvirtual_server = smsotp/' /etc/freeradius/3.0/clients.conf
echo {pin} | smsotp user add alice --phone +491701234567 --pin-stdin
systemctl restart freeradius
"""


@pytest.mark.parametrize("umask", ["000", "077"])
def test_what_commands_make_freeradius_can_read(machine: Machine, umask: str) -> None:
    """Settings, key, store and raddb, up to a login."""
    machine.do(FIRST_HOUR.format(umask=umask, pin=PIN))
    Typist(machine).type("smsotp login alice --secret testing123")
    shown = machine.do("find /etc/radius-smsotp /etc/freeradius -newer /etc/hosts -perm /o+w")
    links = machine.do("find /etc/freeradius -type l -name '*smsotp*'").split()
    assert set(shown.split()) <= set(links)


def test_a_program_that_freeradius_cannot_read_is_told_with_what_helps(machine: Machine) -> None:
    """What a virtual environment is like that was made under umask 077, or a part of it."""
    library = f"{TOP}/.venv/lib/python3.*/site-packages/yaml/__init__.py"
    for shut in (f"{TOP}/.venv", library):
        [path] = machine.do(f"echo {shut}").split()
        machine.do(f"chmod go= {path}")
        before = machine.do("ls -lR --time-style=full-iso /etc/freeradius")
        status, told = machine.type("smsotp raddb install")
        assert status == 1
        assert f"as freerad, cannot read this program ({path}); chmod -R go+rX " in told
        assert machine.do("ls -lR --time-style=full-iso /etc/freeradius") == before
        status, told = machine.type("smsotp check")
        assert status == 3
        assert f"its user cannot read {path}, of this program" in told
        [helps] = set(re.findall(r"chmod -R go\+rX \S+", told))
        machine.do(helps)
    machine.do("smsotp raddb install && systemctl restart freeradius")
    Typist(machine).type("smsotp login alice --secret testing123")
