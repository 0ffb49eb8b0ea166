"""
A backup on one machine, a new server on another one, and a second server: by the documents.

Two machines with a cable between them, a real FreeRADIUS on each, which runs as its own user.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.documents import pages
from tests.support.typist import DATABASE, PIN, Typist, install, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.package.machine import Machine

pytestmark = pytest.mark.server

ONE, OTHER = "192.0.2.1", "192.0.2.2"

SECRET = "not-my-secret"

LOGIN = "smsotp login alice --secret testing123"

VPN = f"""
cat >>/etc/freeradius/3.0/clients.conf <<END
client vpn {{
	ipaddr = {ONE}
	secret = {SECRET}
	virtual_server = smsotp
}}
END
"""


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    """One on which the first hour is over, and one on which only the program is installed."""
    with install() as one, prepare() as other:
        one.connect(other, f"{ONE}/24", f"{OTHER}/24")
        other.do(f"sed -i 's/ db$//' /etc/hosts && echo {ONE} db >>/etc/hosts")
        # A gateway that nobody answers for is an error to `smsotp check`.
        gone = "sed -i '/^  clickatell:/d; s/, clickatell//' {}/radius-smsotp/smsotp.yaml"
        one.do("\n".join(map(gone.format, ("/etc", "/base"))))
        yield one, other


def bring(one: Machine, other: Machine, path: str) -> None:
    """Copy a file, as scp would."""
    text = one.do(f"base64 -w 0 {path}")
    other.do(f"rm -f {path}\nbase64 -d >{path} <<END\n{text}\nEND\nchmod 600 {path}")


def authority(machine: Machine) -> str:
    """What Wi-Fi devices are told to trust."""
    return machine.do(
        "openssl x509 -noout -fingerprint -in /etc/freeradius/3.0/certs/smsotp/ca.pem"
    )


def test_a_server_that_is_lost_comes_back_on_another_machine(
    machines: tuple[Machine, Machine],
) -> None:
    """A login by the old PIN; a device that was remembered is; Wi-Fi devices notice nothing."""
    one, other = machines
    one.do("echo 'remember: {hours: 12}' >>/etc/radius-smsotp/smsotp.yaml")
    one.do("systemctl restart freeradius")
    first, second = Typist(one), Typist(other)
    first.type(f"{LOGIN} --station 02-00-00-00-00-01")
    # Another one waits for its code.
    one.do(f"echo {PIN} | {LOGIN} --station 02-00-00-00-00-02 || :")
    commands = pages.typed("Make a backup")
    for command in [*commands, "rm /root/smsotp.backup", commands[1]]:
        first.type(command)
    bring(one, other, "/root/smsotp.backup")
    one.do("systemctl stop freeradius")
    for command in pages.typed("Restore it on a new machine"):
        second.type(command)
    assert "; ended: 1 login that waited for a code, " in other.shown
    assert authority(other) == authority(one)
    assert "Access-Accept" in other.do(f"echo {PIN} | {LOGIN} --station 02-00-00-00-00-01")
    second.type(f"{LOGIN} --station 02-00-00-00-00-03")
    other.do("smsotp user delete alice --yes")
    for command in pages.typed("Restore it where it was"):
        second.type(command)
    second.type(f"{LOGIN} --station 02-00-00-00-00-03")


LET_IN = f"""
echo 'host all all {OTHER}/32 trust' >>/var/lib/postgresql/typed/pg_hba.conf
runuser -u postgres -- psql -q -c 'SELECT pg_reload_conf()' >/dev/null
"""

EMPTY = r"""
systemctl stop freeradius
sed -i '/virtual_server = smsotp$/d' /etc/freeradius/3.0/clients.conf
smsotp raddb uninstall --purge
rm -rf /etc/radius-smsotp*
"""


def ask(machine: Machine, server: str, request: str) -> str:
    """What a server answers to an Access-Request from a machine, in words of radclient."""
    asked = f"echo '{request}, Message-Authenticator = 0x00' | radclient -x {server} auth {SECRET}"
    return machine.do(f"{asked} || :")


def test_a_second_server_joins_the_first(machines: tuple[Machine, Machine]) -> None:
    """The first step at the one, the second at the other."""
    one, other = machines
    first, second = Typist(one), Typist(other)
    first.start_again()
    one.do(DATABASE)
    other.do(EMPTY)
    one.do("rm -f /root/smsotp.backup")
    for command in pages.typed("Move the first one to PostgreSQL"):
        first.type(command)
    for command in pages.typed("Back it up for the second"):
        first.type(command)
    bring(one, other, "/root/smsotp.backup")
    # The database does not know the second one yet: that is told, and nothing done.
    with pytest.raises(AssertionError, match=r"no pg_hba\.conf entry"):
        second.type("smsotp restore /root/smsotp.backup --join")
    assert other.do("ls -d /etc/radius-smsotp 2>&1 || :").startswith("ls: cannot access")
    one.do(LET_IN)
    for command in pages.typed("Let the second one join"):
        second.type(command)
    for machine in machines:
        machine.do(VPN)
        machine.do("systemctl restart freeradius")
    first.known = first.messages()
    shown = ask(one, ONE, f'User-Name = "alice", User-Password = "{PIN}"')
    state = re.findall(r"State = (0x\w+)", shown)[0]
    answer = f'User-Name = "alice", User-Password = "{first.code()}", State = {state}'
    assert "Received Access-Accept" in ask(one, OTHER, answer)
    assert "Received Access-Reject" in ask(one, ONE, answer)
    assert authority(other) == authority(one)
    assert "error" not in {line.split()[0] for line in other.do("smsotp check || :").splitlines()}
