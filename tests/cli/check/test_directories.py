"""``smsotp check`` names directories that get passwords in the clear, and those that can hang."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.cli.check import directories
from radius_smsotp.raddb import files
from radius_smsotp.raddb.freeradius import FreeRadius

if TYPE_CHECKING:
    from collections.abc import Iterable

    from radius_smsotp.cli.check.finding import Finding

SITE = "server smsotp {\nauthorize {\nsmsotp_authorize\n}\nauthenticate {\nAuth-Type smsotp {\n"
SITE += "smsotp_authenticate\n}\n}\n}\n"
POLICY = "smsotp_account {\n\t%s\n}\nsmsotp_first_factor {\n\tldap\n}\n"
CLEAR = ["ldap.example.org"]
SERVER = FreeRadius(Path("/usr/sbin/freeradius"), (3, 2, 1))
POOL = "pool {\n\tstart = 0\n\tmax = 16\n}\n"


def found(raddb: Path, kind: str, said: str) -> list[Finding]:
    """What is found of one module that our policy asks, and what says so."""
    for name in ("policy.d", "sites-enabled", "mods-enabled"):
        (raddb / name).mkdir(exist_ok=True)
    shutil.copy(files.source(files.POLICY), raddb / files.POLICY)
    (raddb / files.FIRST_FACTOR).write_text(POLICY % kind)
    (raddb / "sites-enabled" / "smsotp").write_text(SITE)
    (raddb / "mods-enabled" / kind).write_text(f"{kind} {{\n{said}\n}}\n")
    return list(directories.findings(raddb, SERVER))


def faults(findings: Iterable[Finding]) -> list[str]:
    """Each has a remedy."""
    assert all((one.level, bool(one.remedy)) == ("warning", True) for one in findings)
    return [one.fault for one in findings]


@pytest.fixture(autouse=True)
def _libldap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "keeps_time_in_tls", lambda server: True)


@pytest.mark.parametrize(
    ("said", "hosts"),
    [
        ("server = 'ldap://ldap.example.org'", CLEAR),
        ('server = "ldap.example.org"\nport = 389', CLEAR),
        ("server = ldap.example.org\nserver = 127.0.0.1\ntls {\n\tstart_tls = no\n}", CLEAR),
        ("server = 'ldaps://one.example.org ldap://ldap.example.org:389/'", CLEAR),
        ("server = 'ldap://[2001:db8::1]'", ["[2001:db8::1]"]),
        ("server = 'ldaps://ldap.example.org'", []),
        ("server = ldap.example.org\nport = 636", []),
        ("server = 'ldapi:///run/slapd'", []),
        ("server = 'ldapi://%2Frun%2Fhaproxy%2Fldap.sock'", []),
        ("server = localhost", []),
        ("server = 'ldap://127.0.0.1:3890'", []),
        ("server = 'ldap://[::1]/'", []),
        ("server = ${ldap_server}", []),
        ("# server = 'ldap://ldap.example.org'", []),
    ],
)
def test_which_directory_gets_passwords_in_the_clear(
    tmp_path: Path, said: str, hosts: list[str]
) -> None:
    findings = found(tmp_path, "ldap", f"{said}\n{POOL}")
    assert faults(findings) == [f"ldap sends passwords to {host} in the clear" for host in hosts]
    # Who never asks it sends it nothing.
    first = tmp_path / files.FIRST_FACTOR
    first.write_text((POLICY % "files").replace("\tldap", "\tpap"))
    assert list(directories.findings(tmp_path, SERVER)) == []


IN_TLS = "ldap has no limit of time in TLS: libldap is older than 2.6.9"
IN_START_TLS = "ldap has no limit of time in start_tls"
START_TLS = "tls {\n\tstart_tls = yes\n}"


@pytest.mark.parametrize(
    ("said", "older", "newer"),
    [
        ("server = 'ldaps://ldap.example.org'", [IN_TLS], []),
        ("server = ldap.example.org\nport = 636", [IN_TLS], []),
        (f"server = localhost\n{START_TLS}", [IN_START_TLS], [IN_START_TLS]),
        (f"server = 'ldap://ldap.example.org'\n{START_TLS}", [IN_START_TLS], [IN_START_TLS]),
        (f"server = 'ldapi://%2Frun%2Fhaproxy%2Fldap.sock'\n{START_TLS}", [], []),
        ("server = localhost", [], []),
    ],
)
def test_a_directory_that_can_hang_in_tls_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    older: list[str],
    newer: list[str],
) -> None:
    for timed, expected in ((False, older), (True, newer)):
        monkeypatch.setattr(directories, "keeps_time_in_tls", lambda server, timed=timed: timed)
        assert faults(found(tmp_path, "ldap", f"{said}\n{POOL}")) == expected


@pytest.mark.parametrize(
    ("version", "holds"), [(20513, False), (20608, False), (20609, True), (20610, True)]
)
def test_which_libldap_keeps_no_time_in_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, *, holds: bool
) -> None:
    monkeypatch.undo()
    server = FreeRadius(tmp_path / "sbin" / "freeradius", (3, 2, 1))
    (tmp_path / "lib" / "freeradius").mkdir(parents=True)
    assert directories.keeps_time_in_tls(server)
    (tmp_path / "lib/freeradius/rlm_ldap.so").write_bytes(b"\0libc.so.6\0libldap-2.5.so.0\0")
    loaded: list[str] = []

    class Library:
        def __init__(self, name: str) -> None:
            loaded.append(name)

        def ldap_get_option(self, _handle: None, _option: int, about: Any) -> int:
            about._obj.vendor_version = version
            return 0

    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert directories.keeps_time_in_tls(server) is holds
    assert loaded == ["libldap-2.5.so.0"]


START = "FreeRADIUS does not start while sql does not answer"
THREADS = "sql can take all 32 threads of FreeRADIUS when it hangs"
LIMIT = "sql waits without limit"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (POOL, []),
        ("", [START]),
        ("pool {\n\tstart = 0\n\tmax = ${thread[pool].max_servers}\n}", [THREADS]),
        ("pool {\n\tstart = ${thread[pool].start_servers}\n\tmax = 32\n}", [START, THREADS]),
        (f'driver = "rlm_sql_mysql"\n{POOL}', [LIMIT]),
        (f'driver = "rlm_sql_postgresql"\nquery_timeout = 0\n{POOL}', [LIMIT]),
        (f'driver = "rlm_sql_mysql"\nquery_timeout = 2\n{POOL}', []),
    ],
)
def test_a_database_that_can_take_all_threads_is_named(
    tmp_path: Path, said: str, expected: list[str]
) -> None:
    assert faults(found(tmp_path, "sql", said)) == expected


def test_as_many_threads_as_there_are(tmp_path: Path) -> None:
    (tmp_path / "radiusd.conf").write_text("thread pool {\n\tmax_servers = 16\n}\n")
    assert faults(found(tmp_path, "sql", POOL)) == [THREADS.replace("32", "16")]
