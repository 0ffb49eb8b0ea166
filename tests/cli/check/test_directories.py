"""``smsotp check`` names directories that passwords are sent to in the clear, and no others."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.check import directories
from radius_smsotp.raddb import files

if TYPE_CHECKING:
    from pathlib import Path

SITE = "server smsotp {\nauthorize {\nsmsotp_authorize\n}\nauthenticate {\nAuth-Type smsotp {\n"
SITE += "smsotp_authenticate\n}\n}\n}\n"
POLICY = "smsotp_account {\n\t%s\n}\nsmsotp_first_factor {\n\tldap\n}\n"
CLEAR = ["ldap.example.org"]


@pytest.mark.parametrize(
    ("said", "hosts"),
    [
        ("server = 'ldap://ldap.example.org'", CLEAR),
        ('server = "ldap.example.org"\nport = 389', CLEAR),
        ("server = ldap.example.org\nserver = 127.0.0.1\ntls {\n\tstart_tls = no\n}", CLEAR),
        ("server = 'ldaps://one.example.org ldap://ldap.example.org:389/'", CLEAR),
        ("server = 'ldap://[2001:db8::1]'", ["[2001:db8::1]"]),
        ("server = 'ldap://ldap.example.org'\ntls {\n\tstart_tls = yes\n}", []),
        ("server = 'ldaps://ldap.example.org'", []),
        ("server = ldap.example.org\nport = 636", []),
        ("server = 'ldapi:///run/slapd'", []),
        ("server = localhost", []),
        ("server = 'ldap://127.0.0.1:3890'", []),
        ("server = 'ldap://[::1]/'", []),
        ("server = ${ldap_server}", []),
        ("# server = 'ldap://ldap.example.org'", []),
    ],
)
def test_which_directory_is_named(tmp_path: Path, said: str, hosts: list[str]) -> None:
    for name in ("policy.d", "sites-enabled", "mods-enabled"):
        (tmp_path / name).mkdir()
    shutil.copy(files.source(files.POLICY), tmp_path / files.POLICY)
    first = tmp_path / files.FIRST_FACTOR
    first.write_text(POLICY % "ldap")
    (tmp_path / "sites-enabled" / "smsotp").write_text(SITE)
    (tmp_path / "mods-enabled" / "ldap").write_text(f"ldap {{\n{said}\n}}\n")
    found = list(directories.findings(tmp_path))
    assert [one.fault for one in found] == [
        f"ldap sends passwords to {host} in the clear" for host in hosts
    ]
    assert all((one.level, bool(one.remedy), bool(one.why)) == ("warning", 1, 1) for one in found)
    # Who never asks it sends it nothing.
    first.write_text((POLICY % "files").replace("\tldap", "\tpap"))
    assert list(directories.findings(tmp_path)) == []
