"""A certificate for Wi-Fi: made once, kept, and made anew by the same authority."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import certificates

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["ca.key", "ca.pem", "server.key", "server.pem"]


def is_signed(folder: Path) -> bool:
    """Whether the server's certificate is for a server and signed by the authority."""
    command = ["openssl", "verify", "-purpose", "sslserver", "-CAfile"]
    done = subprocess.run(
        [*command, folder / "ca.pem", folder / "server.pem"], capture_output=True, check=False
    )
    return done.returncode == 0


def shown(path: Path) -> str:
    """A certificate in words."""
    command = ["openssl", "x509", "-noout", "-text", "-in", path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_authority_and_server_are_made_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    made = certificates.ensure(folder, "radius.example.org")
    assert sorted(path.name for path in made) == NAMES
    assert is_signed(folder)
    assert "DNS:radius.example.org" in shown(folder / "server.pem")
    assert "CA:TRUE, pathlen:0" in shown(folder / "ca.pem")
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"ca.key": 0o600, "ca.pem": 0o644, "server.key": 0o600, "server.pem": 0o644}


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    certificates.ensure(tmp_path, "radius.example.org")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert certificates.ensure(tmp_path, "another.example.org") == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_removed_certificate_is_made_anew_by_the_same_authority(tmp_path: Path) -> None:
    """Devices that trust the authority need not be told again."""
    certificates.ensure(tmp_path, "radius.example.org")
    authority = (tmp_path / "ca.pem").read_bytes()
    (tmp_path / "server.pem").unlink()
    made = certificates.ensure(tmp_path, "radius.example.org")
    assert sorted(path.name for path in made) == ["server.key", "server.pem"]
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert is_signed(tmp_path)


def test_a_certificate_of_one_s_own_needs_no_authority(tmp_path: Path) -> None:
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_text("mine")
    assert certificates.ensure(tmp_path, "radius.example.org") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["server.key", "server.pem"]


def test_without_the_authority_s_key_the_remedy_is_named(tmp_path: Path) -> None:
    certificates.ensure(tmp_path, "radius.example.org")
    for name in ("ca.key", "server.pem"):
        (tmp_path / name).unlink()
    with pytest.raises(SmsotpError, match=r"ca\.key is gone: put a certificate of yours at"):
        certificates.ensure(tmp_path, "radius.example.org")
    assert not (tmp_path / "server.pem").exists()


def test_a_long_name_is_whole_where_devices_compare_it(tmp_path: Path) -> None:
    """RFC 5280 has room for 64 characters in the common name, and for more beside it."""
    name = f"{'radius.' * 12}example.org"
    certificates.ensure(tmp_path, name)
    assert f"DNS:{name}" in shown(tmp_path / "server.pem")


def test_a_name_that_openssl_does_not_take_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SmsotpError, match="openssl made no certificate"):
        certificates.ensure(tmp_path, "radius.example.org,DNS")
    assert not (tmp_path / "server.pem").exists()
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_without_openssl_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SmsotpError, match="apt-get install openssl"):
        certificates.ensure(tmp_path / "certs", "radius.example.org")
