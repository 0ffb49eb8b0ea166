"""
Nothing that works is called broken: each error of ``smsotp check`` has a case in which it is right,
and one, close to it, in which it must be silent.
"""

from __future__ import annotations

import ast
import json
import os
import pwd
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import radius_smsotp
from radius_smsotp.cli.check import host, raddb, site
from radius_smsotp.errors import Problem, StoreError
from radius_smsotp.model.records import Account
from radius_smsotp.raddb import files, freeradius, install
from radius_smsotp.settings import keyring
from radius_smsotp.store.sqlite import SqliteStore
from tests.cli.check.test_command import hashed, put, wait
from tests.cli.check.test_raddb import make_certificate
from tests.cli.installation import Installation, stand_in
from tests.cli.test_courier import queue
from tests.providers.plugged import plug_in
from tests.support.site import PHONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.cli.check.finding import Finding

CHECK = Path(radius_smsotp.__file__).parent / "cli" / "check"

NETWORK = "30 22 0:27 / / rw - nfs4 nas:/srv rw\n"
LOCAL = "30 22 0:27 / / rw - ext4 /dev/sda1 rw\n"

OWN_SITE = """server default {
authorize {
%s
	smsotp_authorize
}
authenticate {
	Auth-Type smsotp {
		smsotp_authenticate
	}
}
post-auth {
%s
	Post-Auth-Type REJECT {
		%s
	}
}
}
"""


class Case:
    """
    An installation, a raddb of its own and a FreeRADIUS, of which nothing is wrong.

    Attributes:
        mounts: What the kernel says of file systems.
        user: Whom FreeRADIUS runs as.
        now: The time.
    """

    def __init__(self, folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.here = Installation(folder / "site")
        self.raddb = folder / "raddb"
        shutil.copytree(made, self.raddb, symlinks=True)
        self.patch = monkeypatch
        self.mounts = LOCAL
        self.user: pwd.struct_passwd | None = None
        self.freeradius("3.2.7")

    def freeradius(self, version: str, module: bytes | None = b"") -> None:
        """Another one: its version, and what is in its python3 module."""
        folder = Path(tempfile.mkdtemp(dir=self.raddb.parent))
        library = None if module is None else module + f"libpython3.{sys.version_info[1]}".encode()
        self.patch.setenv("PATH", stand_in(folder, version, library))

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file of raddb."""
        path = self.raddb / name
        text = path.read_text()
        assert old in text, (name, old)
        path.write_text(text.replace(old, new))

    def add(self, name: str, text: str) -> None:
        """Put one there."""
        path = self.raddb / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def remove(self, name: str) -> None:
        """Take one away."""
        (self.raddb / name).unlink()

    def rename(self, name: str, new: str) -> None:
        """Let one be there under another name."""
        (self.raddb / name).rename(self.raddb / new)

    def room(self, megabytes: int) -> None:
        """How much the disk has."""
        told = SimpleNamespace(f_bavail=megabytes * 1024, f_frsize=1024)
        self.patch.setattr(os, "statvfs", lambda _: told)

    def errors(self, part: str) -> list[Finding]:
        """What is wrong, to one part of `smsotp check`."""
        settings = self.here.settings_path
        found = {
            "site": lambda: site.findings(settings),
            "host": lambda: host.disk_findings(self.here.folder, self.mounts),
            "raddb.program_findings": raddb.program_findings,
            "raddb.closed_findings": lambda: raddb.closed_findings(self.raddb, self.user),
        }.get(part, lambda: raddb.findings(self.raddb, settings))()
        return [one for one in found if one.level == "error"]


Step = Callable[[Case], object] if TYPE_CHECKING else Any


@dataclass(frozen=True)
class Pair:
    """
    One error.

    Attributes:
        fault: What stands in its fault.
        wrong: Makes it right.
        works: Makes what resembles it, and works.
    """

    fault: str
    wrong: Step
    works: Step


def nothing(_: Case) -> None:
    """As it was made."""


def own_site(
    before: str = "", admit: str = "\tsmsotp_admit", count: str = "smsotp_post_auth"
) -> Step:
    """A site of the administrator's own, which calls our policies."""
    return lambda case: case.add("sites-enabled/default", OWN_SITE % (before, admit, count))


def both(*steps: Step) -> Step:
    """One after the other."""

    def work(case: Case) -> None:
        for step in steps:
            step(case)

    return work


def led_elsewhere(case: Case) -> None:
    """Nothing leads to our server."""
    case.edit("radiusd.conf", "virtual_server = smsotp\n", "\n")


def client_network(mask: str) -> Step:
    """A client that is said to check the first factor."""

    def work(case: Case) -> None:
        case.here.write(clients={"nas": {"first_factor_by_client": "push"}})
        case.add(
            "clients.conf",
            f"client nas {{\n\tipaddr = 192.0.2.0{mask}\n\tsecret = 0123456789ab\n}}\n",
        )

    return work


def ended(days: int) -> Step:
    """The server's certificate, valid for so many days."""
    return lambda case: make_certificate(case.raddb / files.CERTIFICATES / "server.pem", days)


def readable(mode: int) -> Step:
    """The secret of the tunnels, and the folders above it."""

    def work(case: Case) -> None:
        (case.raddb / files.GTC).chmod(0o644)
        for folder in (
            case.raddb,
            *(case.raddb / one for one in ("mods-config", "mods-config/smsotp")),
        ):
            folder.chmod(mode)

    return work


def owned_by_nobody(mode: int) -> Step:
    """FreeRADIUS runs as somebody who gets to its secret only as one of a group."""

    def work(case: Case) -> None:
        case.user = pwd.getpwnam("nobody")
        # Else it is one of our own, which runs as whoever starts it.
        manifest = files.manifest(case.raddb)
        del manifest["radiusd.conf"]
        (case.raddb / files.MANIFEST).write_text(json.dumps(manifest))
        for path in (case.raddb, *case.raddb.rglob("*")):
            os.chown(path, 0, case.user.pw_gid, follow_symlinks=False)
        for name in (files.GTC, f"{files.CERTIFICATES}/server.key"):
            (case.raddb / name).chmod(mode)

    return work


def library(case: Case, *, ours: bool) -> None:
    """A module that only root can read lies in a library that all programs share."""
    folder = Path(tempfile.mkdtemp(dir=case.raddb.parent))
    for name in ("yaml", "strange"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    shut = folder / ("yaml" if ours else "strange") / "__init__.py"
    access = os.access
    case.patch.setattr(files, "LIBRARIES", [folder])
    case.patch.setattr(os, "access", lambda path, mode: Path(path) != shut and access(path, mode))


def two_instances(version: str, name: str) -> Step:
    """Another python3 instance, in a file of that name."""

    def work(case: Case) -> None:
        case.freeradius(version)
        for link in files.INSTANCE_LINKS:
            (case.raddb / link).unlink(missing_ok=True)
        case.add(f"mods-enabled/{name}", "python3 mine {\n}\n")

    return work


def window(case: Case, seconds: int) -> None:
    """For how long FreeRADIUS waits for itself; a gateway may take nine."""
    case.here.write(delivery={"wait": 9})
    case.edit("sites-available/smsotp-gtc", "response_window = 30", f"response_window = {seconds}")


def later_schema(number: int) -> Step:
    """A store of a version that may be later than this one."""

    def work(case: Case) -> None:
        with closing(sqlite3.connect(case.here.folder / "smsotp.db")) as db:
            db.execute(f"PRAGMA user_version = {number}")

    return work


def placeholder(*, ordered: bool) -> Step:
    """A provider that is not filled in, and sends or not."""

    def work(case: Case) -> None:
        gateway = {"type": "folder", "path": "outbox/YOUR-NAME"}
        order = ["demo", "gateway"] if ordered else ["demo"]
        providers = {"demo": {"type": "folder", "path": "outbox"}, "gateway": gateway}
        case.here.write(providers=providers, delivery={"order": order})

    return work


def folder_provider(path: str) -> Step:
    """The place that messages are written to."""

    def work(case: Case) -> None:
        (case.here.folder / "file").touch()
        case.here.write(providers={"demo": {"type": "folder", "path": path}})

    return work


def package(begins: str) -> Step:
    """A provider of another package, by how it begins."""

    def work(case: Case) -> None:
        (case.here.folder / "acme_gateway.py").write_text(
            "from typing import Literal\n"
            "from radius_smsotp.providers import folder\n"
            "class Settings(folder.Settings):\n"
            "    type: Literal['acme']\n"
            "class Provider(folder.Provider):\n"
            "    def __init__(self, *given):\n"
            f"        {begins}\n"
        )
        plug_in(case.patch, "acme", case.here.folder, "acme_gateway")
        case.here.write(providers={"demo": {"type": "acme", "path": "outbox"}})

    return work


def other_key(case: Case) -> None:
    path = case.here.folder / "key"
    path.write_text("k1 " + "ab" * 32 + "\n")
    path.chmod(0o600)


def foreign_pin(case: Case) -> None:
    """A PIN that was sealed with a key that is gone."""
    here = case.here
    put(here, Account("alice", PHONE, hashed()))
    path = here.folder / "key"
    keyring.add(path, datetime.now(UTC), for_pins=True)
    keys = keyring.read(path)
    keyring.remove(path, [one for one in keys.pin_keys if one not in keys.keys][-1])
    old = next(one for one in keyring.read(path).pin_keys if one not in keyring.read(path).keys)
    keyring.remove(path, old)


def failing(text: str) -> Step:
    """The store fails while it is looked at, or finds something to say."""

    def inspect(_: SqliteStore) -> tuple[str, list[Problem]]:
        if text:
            raise StoreError(text)
        return "fine", [Problem("store", "is large")]

    return lambda case: case.patch.setattr(SqliteStore, "inspect", inspect)


def digest(case: Case) -> None:
    case.add("mods-enabled/digest", "digest {\n}\n")


def around(method: str) -> Step:
    """A tunnel that leads to a site of the administrator's own, and what is beside it."""

    def work(case: Case) -> None:
        own_site()(case)
        text = f"eap {{\n\t{method}\tpeap {{\n\t\tvirtual_server = default\n\t}}\n}}\n"
        case.add("mods-enabled/eap", text)
        case.add("sites-enabled/outer", "server outer {\nauthorize {\n\teap\n}\n}\n")

    return work


def gone(case: Case) -> None:
    (case.here.folder / "smsotp.db").unlink()


def without_openssl(case: Case) -> None:
    case.patch.setenv("PATH", os.environ["PATH"].partition(":")[0])


def not_installed(case: Case) -> None:
    case.patch.setenv("PATH", "")
    case.patch.setattr(freeradius, "PLACES", ())


def uncounted(case: Case) -> None:
    """An account with a PIN of ours."""
    put(case.here, Account("alice", PHONE, hashed()))


PAIRS = {
    "clients.unasked_findings": [
        Pair("is a network, and is said to check", client_network("/24"), client_network("/32")),
    ],
    "host.disk_findings": [
        Pair(
            "lies on a network file system",
            lambda case: setattr(case, "mounts", NETWORK),
            lambda case: setattr(case, "mounts", NETWORK.replace("nfs4", "xfs")),
        ),
        Pair("MB are free", lambda case: case.room(5), lambda case: case.room(100)),
    ],
    "raddb.closed_findings": [
        Pair("cannot read it", owned_by_nobody(0o600), owned_by_nobody(0o640)),
    ],
    "raddb._files": [
        Pair(
            "is missing",
            lambda case: case.remove("policy.d/smsotp"),
            lambda case: case.remove("mods-available/python3_smsotp_pool"),
        ),
    ],
    "raddb._links": [
        Pair(
            "is not enabled",
            lambda case: case.remove("mods-enabled/python3_smsotp"),
            both(
                lambda case: case.rename("mods-enabled/python3_smsotp", "mods-enabled/00-smsotp"),
                # It calls our policies itself.
                led_elsewhere,
                lambda case: case.remove("sites-enabled/smsotp"),
                own_site(),
            ),
        ),
        Pair(
            f"the line '{files.INCLUDE}' is missing",
            lambda case: case.add("dictionary", "# $INCLUDE dictionary.smsotp\n"),
            lambda case: case.add("dictionary", f"$INCLUDE {case.raddb}/dictionary.smsotp\n"),
        ),
        Pair(
            "is not enabled",
            lambda case: case.remove("sites-enabled/smsotp-gtc"),
            lambda case: case.rename("sites-enabled/smsotp-gtc", "sites-enabled/zz-gtc"),
        ),
    ],
    "raddb._calls": [
        Pair(
            "no client is sent through",
            led_elsewhere,
            both(
                led_elsewhere,
                lambda case: case.edit(
                    "radiusd.conf", "$INCLUDE clients.conf", "$INCLUDE clients.conf\n$INCLUDE vpn/"
                ),
                lambda case: case.add("vpn/a.conf", "client a {\n\tvirtual_server = smsotp\n}\n"),
            ),
        ),
    ],
    "raddb._wifi": [
        Pair(
            "is missing",
            lambda case: case.remove(files.GTC),
            both(
                lambda case: case.edit(
                    "sites-available/smsotp-gtc",
                    "$INCLUDE ${confdir}/mods-config/smsotp/gtc",
                    'smsotp_gtc_port = 11812\nsmsotp_gtc_secret = "mine"',
                ),
                lambda case: case.remove(files.GTC),
            ),
        ),
        Pair("is open to everybody", readable(0o755), readable(0o750)),
    ],
    "raddb._certificates": [
        Pair(
            "is no certificate",
            lambda case: case.add(f"{files.CERTIFICATES}/server.pem", "-----BEGIN\n"),
            without_openssl,
        ),
    ],
    "raddb._end": [Pair("has expired", ended(0), ended(1))],
    "raddb.findings": [Pair("is not installed here", not_installed, nothing)],
    "raddb.version_findings": [
        Pair(
            "cannot read the PIN hashes",
            both(lambda case: case.freeradius("3.0.21"), uncounted),
            # Where PINs are checked elsewhere, it does.
            two_instances("3.0.21", "mine~"),
        ),
        Pair(
            "loses every reply",
            lambda case: case.freeradius("3.2.10"),
            lambda case: case.freeradius("3.2.10", raddb.MENDED),
        ),
    ],
    "raddb.instance_findings": [
        # A name that FreeRADIUS does not read.
        Pair("abort this version", two_instances("3.2.6", "mine"), two_instances("3.2.6", "mine~")),
    ],
    "raddb._module_findings": [
        Pair(
            "its module python3 is missing",
            lambda case: case.freeradius("3.2.7", None),
            nothing,
        ),
    ],
    "raddb.program_findings": [
        Pair(
            "its user cannot read",
            lambda case: library(case, ours=True),
            lambda case: library(case, ours=False),
        ),
    ],
    "raddb.raddb_findings": [
        Pair(
            "and FreeRADIUS waits for",
            lambda case: window(case, 8),
            lambda case: window(case, 10),
        ),
    ],
    "site.findings": [
        Pair(
            "has to be a whole number",
            lambda case: case.here.write(code={"digits": 3}),
            lambda case: case.here.write(code={"digits": 6}),
        ),
        Pair(
            "is no URL that libpq can read",
            lambda case: case.here.write(store="postgresql:///smsotp?colour=red"),
            nothing,
        ),
        Pair("", folder_provider("file/folder"), folder_provider("new/folder")),
        Pair("cannot set it up", package("1 / 0"), package("super().__init__(*given)")),
    ],
    "site._settings": [
        Pair("is still to be filled in", placeholder(ordered=True), placeholder(ordered=False)),
    ],
    "site._key": [
        Pair(
            "there is no such file",
            lambda case: (case.here.folder / "key").unlink(),
            lambda case: case.here.write(key_file=str(case.here.folder / "key")),
        ),
    ],
    "site._known_keys": [
        Pair(
            "the store was used with another key",
            other_key,
            lambda case: keyring.add(case.here.folder / "key", datetime.now(UTC)),
        ),
    ],
    "site._store": [
        Pair("is not there", gone, nothing),
        Pair("999", later_schema(999), nothing),
        Pair(
            "the disk under the store fails", failing("the disk under the store fails"), failing("")
        ),
        Pair(
            "wait, and nobody sends them",
            lambda case: (queue(case.here, 2), wait(case.here, 15)),
            lambda case: queue(case.here, 2),
        ),
    ],
    "site._accounts": [Pair("sealed with a key that is not here", foreign_pin, uncounted)],
    "ways._server": [
        Pair(
            "takes the place of post-auth",
            own_site(admit="\tsmsotp_admit\n\tPost-Auth-Type Own {\n\t\tok\n\t}"),
            own_site(admit="\tsmsotp_admit\n\tPost-Auth-Type Own {\n\t\tsmsotp_admit\n\t}"),
        ),
        Pair("but not smsotp_post_auth", own_site(count="ok"), own_site()),
        Pair(
            "under another condition",
            own_site(admit="\tif (&NAS-Port) {\n\t\tsmsotp_admit\n\t}"),
            own_site(),
        ),
        Pair("but not smsotp_admit", own_site(admit="\tok"), own_site()),
        Pair(
            "leads past the code",
            both(digest, own_site(before="\tdigest", admit="\tok")),
            both(digest, own_site(before="\tdigest")),
        ),
    ],
    "ways._tunnels": [
        Pair(
            "but not smsotp_conversation before it",
            lambda case: case.edit("sites-available/smsotp", "smsotp_conversation", "noop"),
            nothing,
        ),
        Pair(
            "does not call smsotp_inner",
            lambda case: case.edit("sites-available/smsotp-inner-tunnel", "smsotp_inner", "noop"),
            nothing,
        ),
    ],
    "ways._own_eap": [
        Pair(
            "EAP-MD5 (module smsotp_eap) leads past the code",
            lambda case: case.edit(
                "mods-available/eap_smsotp", "\tpeap {", "\tmd5 {\n\t}\n\tpeap {"
            ),
            lambda case: case.edit(
                "mods-available/eap_smsotp", "\tpeap {", "#\tmd5 {\n#\t}\n\tpeap {"
            ),
        ),
    ],
    "ways._around_tunnels": [
        Pair("EAP-MD5 (module eap) leads past", around("md5 {\n\t}\n"), around("")),
    ],
}
"""By module and function, as many as it has errors."""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A raddb, which all are copies of."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "raddb"
        server = freeradius.FreeRadius(Path("/usr/sbin/freeradius"), (3, 2, 7))
        settings = Path(name) / "smsotp.yaml"
        install.create(folder, settings, server, secret="0123456789ab", name="radius.example.org")
        yield folder


@pytest.fixture
def case(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """One in which nothing is wrong, in a place that every user can get to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        one = Case(Path(name), made, monkeypatch)
        yield one
        one.here.close()


def sites() -> Counter[str]:
    """How many errors each function can tell, by what stands in the program."""
    found: Counter[str] = Counter()
    for path in CHECK.glob("*.py"):
        for function in ast.parse(path.read_text("utf-8")).body:
            if path.stem in {"finding", "command"} or not isinstance(function, ast.FunctionDef):
                continue
            nodes = list(ast.walk(function))
            names = [one.id for one in nodes if isinstance(one, ast.Name)]
            names += [one.attr for one in nodes if isinstance(one, ast.Attribute)]
            if number := sum(one in {"error", "errors"} for one in names):
                found[f"{path.stem}.{function.name}"] = number
    return found


def part(name: str) -> str:
    """Whom to ask for the errors of a function."""
    module = name.partition(".")[0]
    return module if module in {"site", "host"} else name


def test_each_error_has_its_pair() -> None:
    assert {name: len(pairs) for name, pairs in PAIRS.items()} == sites()


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        pytest.param(name, pair, id=f"{name}-{number}")
        for name, pairs in PAIRS.items()
        for number, pair in enumerate(pairs)
    ],
)
class TestPairs:
    def test_where_it_is_right(self, case: Case, name: str, pair: Pair) -> None:
        pair.wrong(case)
        assert any(pair.fault in one.fault for one in case.errors(part(name)))

    def test_where_it_must_be_silent(self, case: Case, name: str, pair: Pair) -> None:
        """And no other takes its place."""
        pair.works(case)
        assert case.errors(part(name)) == []
