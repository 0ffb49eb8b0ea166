"""
A domain under test: Samba as Active Directory's domain controller, with winbind.

Its ports are those of every domain controller, so it wants a network of its own
(`tests.peers.network.own_network`), with a FreeRADIUS that asks it in the same.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

from tests.freeradius.tcp_server import TcpServer
from tests.support.site import eventually

REALM = "ad.example.org"
SUFFIX = "dc=ad,dc=example,dc=org"
READER_PASSWORD = "not-my-password"
PASSWORD = "S3cret.word"
"""Of everybody in it."""

CACHE = Path(__file__).parents[2] / ".cache"

KEPT_SECONDS = 7 * 24 * 3600
"""As passwords in it expire, after 42 days."""

LOCKOUT = 5
"""Wrong passwords after which the domain locks an account, for half an hour."""

CONFIGURATION = """\
[global]
netbios name = DC1
realm = {realm}
workgroup = EXAMPLE
server role = active directory domain controller
server services = ldap, cldap, kdc, rpc, winbindd
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}/lock
pid directory = {folder}/run
ncalrpc dir = {folder}/run/ncalrpc
tls keyfile = {folder}/cert.key
tls certfile = {folder}/cert.pem
tls cafile = {folder}/cert.pem
ntlm auth = mschapv2-and-ntlmv2-only
log level = 1 auth_audit:3
"""

PEOPLE: dict[str, str] = {
    # In vpn-users by way of team, and by herself.
    "alice": "mobile: +49 170 1234501",
    "bob": "mobile: +49 170 1234502",
    # Who types the name of the mail address.
    "jane": "userPrincipalName: jane.doe@ad.example.org\nmobile: +49 170 1234503",
    "jürgen": "mobile: +49 170 1234504",
    # No number, three ways.
    "numberless": "mail: numberless@example.org",
    "extension": "mobile: ext. 4711",
    "other-mobile": "otherMobile: +49 170 1234505",
    # The right password, and yet not let in: each another code of Active Directory.
    "disabled": "userAccountControl: 514\nmobile: +49 170 1234511",
    "expired": "accountExpires: 1\nmobile: +49 170 1234512",
    "must-change": "pwdLastSet: 0\nmobile: +49 170 1234513",
    "newcomer": "pwdLastSet: 0\nmobile: +49 170 1234517",
    "outside-hours": "logonHours:: AAAAAAAAAAAAAAAAAAAAAAAAAAAA\nmobile: +49 170 1234514",
    "elsewhere": "userWorkstations: DESK7\nmobile: +49 170 1234515",
    "locked": "mobile: +49 170 1234516",
}
"""User name to what is said of it, as LDIF."""

GROUPS: dict[str, list[str]] = {
    "team": ["alice"],
    "vpn-users": ["bob", "team"],
    "pilot": ["jane"],
}
"""Group to its members, groups among them."""

ACCOUNT = """\
dn: cn={name},cn=users,{suffix}
changetype: add
objectClass: user
sAMAccountName:: {encoded}
unicodePwd:: {password}
{more}

"""

GROUP = """\
dn: cn={name},cn=users,{suffix}
changetype: add
objectClass: group
sAMAccountName: {name}

"""

MEMBER = """\
dn: cn={group},cn=users,{suffix}
changetype: modify
add: member
member: cn={name},cn=users,{suffix}

"""

POLICY = f"""\
dn: {SUFFIX}
changetype: modify
replace: lockoutThreshold
lockoutThreshold: {LOCKOUT}
-
replace: pwdProperties
pwdProperties: 0

"""

MODIFY = """\
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
parameters = LoadParm()
parameters.load(sys.argv[1])
SamDB(lp=parameters, session_info=system_session()).modify_ldif(sys.stdin.buffer.read().decode())
"""
"""For the Python that Debian's Samba is made for."""

PRIVATE_RUN = """\
mount --make-rprivate / 2>/dev/null || :  # In a chroot / is no mount, and unshare has seen to it.
mkdir -p /run/samba
mount --bind "$0" /run/samba
exec "$@"
"""
"""Where ntlm_auth finds winbind cannot be set; so each domain has its own such folder."""


class Domain(TcpServer):
    """
    The domain EXAMPLE, ad.example.org, with `PEOPLE` and `GROUPS` in ``cn=users``.

    ``radius@ad.example.org`` may look at them.  Made with 12 s of CPU, so it is kept in .cache; to
    be started, in 1 s, in a network of its own.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "samba")
        (folder / "cert.key").chmod(0o600)
        self.port = 636
        kept = CACHE / f"domain-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]}"
        CACHE.mkdir(exist_ok=True)
        with CACHE.joinpath("domain.lock").open("w") as lock:
            # Debian 12 and 13 may begin at once; what one makes the other takes.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists() or time.time() - kept.stat().st_mtime > KEPT_SECONDS:
                for old in CACHE.glob("domain-*"):
                    shutil.rmtree(old)
                part = CACHE / "domain-part"
                part.mkdir()
                self._provision(part)
                part.rename(kept)
                kept.touch()
            subprocess.run(["cp", "--archive", f"{kept}/.", folder], check=True)
        self._configure(folder)

    def _provision(self, folder: Path) -> None:
        """Make it, with everybody in it."""
        options = {
            "targetdir": folder,
            "realm": REALM.upper(),
            "domain": "EXAMPLE",
            "host-name": "dc1",
            "host-ip": "127.0.0.1",
            "dns-backend": "NONE",
            "server-role": "dc",
            "adminpass": PASSWORD,
        }
        provision = [f"--{name}={value}" for name, value in options.items()]
        subprocess.run(
            ["samba-tool", "domain", "provision", "--configfile=/dev/null", *provision],
            check=True,
            capture_output=True,
        )
        self._configure(folder)
        people = {"radius": "description: FreeRADIUS"} | PEOPLE
        passwords = {"radius": READER_PASSWORD}
        self.modify(
            POLICY
            + "".join(account(name, passwords.get(name, PASSWORD), people[name]) for name in people)
            + "".join(GROUP.format(name=name, suffix=SUFFIX) for name in GROUPS)
            + "".join(
                MEMBER.format(group=group, name=name, suffix=SUFFIX)
                for group, names in GROUPS.items()
                for name in names
            )
        )

    def _configure(self, folder: Path) -> None:
        for name in ("cache", "lock", "run", "run/ncalrpc"):
            (folder / name).mkdir(exist_ok=True)
        self.configuration = folder / "smb.conf"
        self.configuration.write_text(CONFIGURATION.format(folder=folder, realm=REALM.upper()))

    @property
    def url(self) -> str:
        """Where it answers."""
        return "ldaps://127.0.0.1"

    def modify(self, ldif: str) -> None:
        """Change it, whether it runs or not, with the rights of the domain itself."""
        subprocess.run(
            ["/usr/bin/python3", "-c", MODIFY, self.configuration],
            input=ldif.encode(),
            check=True,
            capture_output=True,
        )

    def replace(self, name: str, attribute: str, value: str) -> None:
        """Replace an attribute of somebody, whether it runs or not."""
        self.modify(
            f"dn: cn={name},cn=users,{SUFFIX}\nchangetype: modify\n"
            f"replace: {attribute}\n{attribute}: {value}\n"
        )

    def set_password(self, name: str, password: str) -> None:
        """As the helpdesk does, whether it runs or not."""
        self.modify(
            f"dn: cn={name},cn=users,{SUFFIX}\nchangetype: modify\n"
            f"replace: unicodePwd\nunicodePwd:: {written(password)}\n"
        )

    def member(self, group: str, name: str, *, stays: bool) -> None:
        """Put somebody into a group, or take them out of it."""
        said = MEMBER.format(group=group, name=name, suffix=SUFFIX)
        self.modify(said if stays else said.replace("add: member", "delete: member"))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.run(
            [
                *("unshare", "--mount", "--propagation", "unchanged"),
                *("sh", "-ec", PRIVATE_RUN, self.folder / "run"),
                *("samba", "-F", "-M", "single", "--debug-stdout", "-s", self.configuration),
            ]
        )
        eventually(lambda: self.log_in("radius", READER_PASSWORD))  # winbind comes later

    def log_in(self, name: str, password: str) -> bool:
        """Whether somebody gets in with this password, as at a computer of the domain."""
        program = ["ntlm_auth", f"--configfile={self.configuration}"]
        typed = [f"--username={name}", f"--password={password}"]
        done = subprocess.run([*self.inside, *program, *typed], check=False, capture_output=True)
        return done.returncode == 0

    @property
    def inside(self) -> list[str]:
        """Before a command that is to find its winbind."""
        assert self.process is not None
        return ["nsenter", "--target", str(self.process.pid), "--mount", "--root", "--wd"]


def written(password: str) -> str:
    """A value of ``unicodePwd``, in LDIF."""
    return base64.b64encode(f'"{password}"'.encode("utf-16-le")).decode()


def account(name: str, password: str, more: str) -> str:
    """The LDIF of somebody; what `more` says counts."""
    if "userAccountControl" not in more:
        more += "\nuserAccountControl: 512"
    if "userPrincipalName" not in more:
        more += f"\nuserPrincipalName: {name}@{REALM}"
    return ACCOUNT.format(
        name=name,
        suffix=SUFFIX,
        encoded=base64.b64encode(name.encode()).decode(),
        password=written(password),
        more=more,
    )
