"""
Errors, sorted by what the caller does next.

Their text is safe for any log: no code, PIN, password or whole phone number.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from radius_smsotp.model.records import Verdict


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One fault in what the administrator wrote: where, what, and what to do.

    Attributes:
        line: What stands there, its number before it, without secrets; "" if that says no more.
        passing: It may be over without anybody's doing: a database that is not up yet.
    """

    path: str
    fault: str
    remedy: str = ""
    line: str = ""
    passing: bool = False

    def __str__(self) -> str:
        text = f"{self.path}: {self.fault}"
        return f"{text}; {self.remedy}" if self.remedy else text


class SmsotpError(Exception):
    """Anything this package raises on purpose."""


class ConfigurationError(SmsotpError):
    """Settings, key or store cannot be used: mend every problem, then start again."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @property
    def passing(self) -> bool:
        """Whether to wait may help: see `Problem.passing`."""
        return bool(self.problems) and all(problem.passing for problem in self.problems)


class StoreError(SmsotpError):
    """The store did not answer: refuse the login, try again with the next one."""


class StoreConflictError(StoreError):
    """Two transactions got into each other's way, and this one was undone: `store.insist`."""


class DeliveryError(SmsotpError):
    """A provider did not accept a message."""

    verdict: Verdict = "unknown"


class Unavailable(DeliveryError):
    """Not taken, and nobody's fault (no route, no signal): another provider may succeed."""

    verdict: Verdict = "unavailable"


class Busy(Unavailable):
    """
    Not now (throttled, full): the provider works, and takes the same message a little later.

    Args:
        text: What happened, without secrets.
        retry_after: Seconds for which the provider asked not to be sent it again, if it said so.
    """

    verdict: Verdict = "busy"

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Refused(DeliveryError):
    """
    The provider said no for good: the same message would get the same answer.

    Args:
        text: What happened, without secrets.
        out_of_order: True if every message would be refused (a wrong password, an
            account without credit), so that the provider is skipped for a while.
    """

    verdict: Verdict = "refused"

    def __init__(self, text: str, *, out_of_order: bool = False) -> None:
        super().__init__(text)
        self.out_of_order = out_of_order


class Unknown(DeliveryError):
    """Submitted, then silence: it may or may not arrive."""

    verdict: Verdict = "unknown"


FREERADIUS_USERS = ("freerad", "radiusd", "radius", "freeradius")
"""Who FreeRADIUS runs as: Debian, Red Hat and SUSE, Alpine, FreeBSD."""

RADDBS = ("/etc/freeradius/3.0", "/etc/freeradius", "/etc/raddb", "/usr/local/etc/raddb")
"""Where its configuration is: Debian; InkBridge's packages for Debian; Red Hat, SUSE and Alpine;
FreeBSD and from source."""

USER = re.compile(r"(?m)^[ \t]*user[ \t]*=[ \t]*[\"']?([\w.-]+)")


def freeradius_user() -> pwd.struct_passwd | None:
    """The user that FreeRADIUS runs as on this machine, None if there is none."""
    said = []
    for folder in RADDBS:
        # Whoever may not read it is told by the name that the system gives.
        with contextlib.suppress(OSError):
            text = Path(folder, "radiusd.conf").read_text(encoding="utf-8", errors="replace")
            said += USER.findall(text)[:1]
    for name in (*said, *FREERADIUS_USERS):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def unless_person(remedy: str) -> str:
    """
    What helps where a user may not do something.

    To a person at a terminal FreeRADIUS's files are rightly closed: that one has to ask as root.

    Args:
        remedy: For root, for who acts for root, and for FreeRADIUS's user.
    """
    user = freeradius_user()
    privileged = {0, user.pw_uid} if user else {0}
    return remedy if privileged & {*os.getresuid()} else "run this as root, by sudo"


MANAGERS = {
    "apt-get": "apt-get install",
    "dnf": "dnf install",
    "zypper": "zypper install",
    "apk": "apk add",
}
"""What installs packages: Debian and Ubuntu, Red Hat and Fedora, SUSE, Alpine."""

PACKAGES = {
    "freeradius": {"zypper": "freeradius-server"},
    "freeradius-python3": {"dnf": "python3-freeradius", "zypper": "freeradius-server-python3"},
    "gpg": {"dnf": "gnupg2", "zypper": "gpg2", "apk": "gnupg"},
}
"""Debian's names to those that others have."""


def package_command(*names: str) -> str:
    """
    What installs packages on this machine.

    Args:
        names: As Debian has them.
    """
    for manager, command in MANAGERS.items():
        if shutil.which(manager):
            theirs = (PACKAGES.get(name, {}).get(manager, name) for name in names)
            return " ".join((command, *theirs))
    return f"install {' and '.join(names)}"


PACKAGED = Path("/usr/lib/radius-smsotp")
"""Where a package of the system keeps the program, with all extras."""


def extra_command(extra: str) -> str:
    """
    What installs an extra for the program that runs.

    Of a package that is the package, which has lost something.  Else it is the pip of the virtual
    environment that it is in: Debian's own pip refuses to install anything (PEP 668), and radiusd's
    Python is not ours.
    """
    here = Path(__file__).resolve()
    if PACKAGED in here.parents:
        is_debian = shutil.which("apt-get")
        return (
            "apt-get install --reinstall ./radius-smsotp_*.deb"
            if is_debian
            else "dnf reinstall ./radius-smsotp-*.rpm"
        )
    # …/lib/python3.11/site-packages/radius_smsotp/errors.py; else a checkout, whose Python knows.
    places = [*here.parents[4:5], Path(sys.prefix)]
    pips = [place / "bin" / "pip" for place in places if (place / "pyvenv.cfg").exists()]
    pip = next((shlex.quote(str(one)) for one in pips if one.exists()), "pip")
    return f"{pip} install 'radius-smsotp[{extra}]'"
