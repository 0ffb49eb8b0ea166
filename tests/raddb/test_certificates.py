"""A certificate for Wi-Fi: made once, kept, and made anew by the same authority."""

from __future__ import annotations

import socket
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import certificates

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["ca.key", "ca.pem", "server.key", "server.pem"]


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


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


def public_key(path: Path) -> str:
    """Of a certificate or a private key."""
    kind = ("x509", "-noout", "-pubkey") if path.suffix == ".pem" else ("pkey", "-pubout")
    command = ["openssl", *kind, "-in", path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def sign(folder: Path, names: str) -> None:
    """A certificate of the administrator's, by the authority in a folder, that ends tomorrow."""
    command = ["openssl", "req", "-x509", "-days", "1", "-subj", "/O=Example/CN=radius"]
    command += ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-key"]
    command += [folder / "server.key", "-addext", f"subjectAltName={names}"]
    command += ["-addext", "extendedKeyUsage=serverAuth", "-addext", "basicConstraints=CA:false"]
    subprocess.run([*command, "-out", folder / "server.pem"], capture_output=True, check=True)


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


def test_a_removed_certificate_keeps_the_name_of_its_authority(tmp_path: Path) -> None:
    """Devices compare it: this host's own would put all of them out."""
    certificates.ensure(tmp_path, "radius.example.org")
    (tmp_path / "server.pem").unlink()
    certificates.ensure(tmp_path, None)
    assert certificates.read(tmp_path / "server.pem").names == ("radius.example.org",)


def test_a_name_that_the_authority_could_not_hold_is_asked_for(tmp_path: Path) -> None:
    name = f"{'radius.' * 12}example.org"
    certificates.ensure(tmp_path, name)
    (tmp_path / "server.pem").unlink()
    with pytest.raises(SmsotpError, match="say it with --server-name"):
        certificates.ensure(tmp_path, None)
    certificates.ensure(tmp_path, name)
    assert certificates.read(tmp_path / "server.pem").names == (name,)


@pytest.mark.parametrize(
    ("whole", "short", "name"),
    [
        ("web.example.org", "web", "web.example.org"),
        ("localhost", "web", "web"),
        ("localhost.localdomain", "web.example.org", "web.example.org"),
    ],
)
def test_without_any_name_it_is_the_host_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: str, short: str, name: str
) -> None:
    """Where that has no domain, it may call itself localhost, as any other does."""
    monkeypatch.setattr(socket, "getfqdn", lambda: whole)
    monkeypatch.setattr(socket, "gethostname", lambda: short)
    certificates.ensure(tmp_path, None)
    assert certificates.read(tmp_path / "server.pem").names == (name,)


def test_a_host_that_has_no_name_is_asked_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("getfqdn", "gethostname"):
        monkeypatch.setattr(socket, name, lambda: "localhost")
    with pytest.raises(SmsotpError, match="say a name with --server-name"):
        certificates.ensure(tmp_path, None)
    assert list(tmp_path.iterdir()) == []


class TestRenewal:
    @pytest.fixture
    def old(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder whose certificate ends tomorrow."""
        with monkeypatch.context() as then:
            then.setattr(certificates, "SERVER_DAYS", 1)
            certificates.ensure(tmp_path, "radius.example.org")
        return tmp_path

    def test_name_authority_and_keys_stay(self, old: Path) -> None:
        """All that devices were told, and the modes that keep the keys from others."""
        before = {path.name: (path.read_bytes(), path.stat().st_mode) for path in old.iterdir()}
        was = certificates.read(old / "server.pem")
        assert was.left(now()) <= timedelta(1)
        assert certificates.renew(old) == [old / "server.pem"]
        after = {path.name: (path.read_bytes(), path.stat().st_mode) for path in old.iterdir()}
        renewed = certificates.read(old / "server.pem")
        assert (renewed.names, renewed.subject) == (was.names, was.subject)
        assert timedelta(824) < renewed.left(now()) <= timedelta(825)
        assert after.pop("server.pem")[1] == before.pop("server.pem")[1]
        assert after == before
        assert is_signed(old)
        assert public_key(old / "server.pem") == public_key(old / "server.key")

    def test_what_else_is_in_a_certificate_stays(self, old: Path) -> None:
        """One that the administrator has made by the authority here, with two names."""
        sign(old, "DNS:radius1.example.org,DNS:radius2.example.org")
        certificates.renew(old)
        renewed = certificates.read(old / "server.pem")
        assert renewed.names == ("radius1.example.org", "radius2.example.org")
        assert renewed.left(now()) > timedelta(824)

    def test_an_authority_near_its_end_goes_on_with_its_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Devices trust the new certificate by the old file as well as by the new one."""
        with monkeypatch.context() as then:
            then.setattr(certificates, "AUTHORITY_DAYS", 360)
            certificates.ensure(tmp_path, "radius.example.org")
        known = (tmp_path / "ca.pem").read_bytes()
        made = certificates.renew(tmp_path)
        assert [path.name for path in made] == ["ca.pem", "server.pem"]
        assert certificates.read(tmp_path / "ca.pem").left(now()) > timedelta(3649)
        assert "CA:TRUE, pathlen:0" in shown(tmp_path / "ca.pem")
        assert is_signed(tmp_path)
        (tmp_path / "ca.pem").write_bytes(known)
        assert is_signed(tmp_path)

    def test_a_certificate_of_one_s_own_is_left_alone(self, old: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        certificates.ensure(other, "radius.example.org")
        for name in ("server.pem", "server.key"):
            (old / name).write_bytes((other / name).read_bytes())
        before = (old / "server.pem").read_bytes()
        with pytest.raises(SmsotpError, match=r"was not signed by .*: renew it where it comes"):
            certificates.renew(old)
        assert (old / "server.pem").read_bytes() == before

    def test_an_authority_whose_key_is_elsewhere_is_said(self, old: Path) -> None:
        (old / "ca.key").unlink()
        with pytest.raises(SmsotpError, match=r"ca\.key is not here: bring it back"):
            certificates.renew(old)


def test_a_certificate_of_one_s_own_needs_no_authority(tmp_path: Path) -> None:
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_text("mine")
    assert certificates.ensure(tmp_path, "radius.example.org") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["server.key", "server.pem"]


def test_a_certificate_of_one_s_own_may_have_its_key_elsewhere(tmp_path: Path) -> None:
    """In the same file, say: it is not to be had again."""
    other, folder = tmp_path / "other", tmp_path / "certs"
    certificates.ensure(other, "radius.example.org")
    certificates.ensure(folder, "radius.example.org")
    (folder / "server.key").unlink()
    mine = (other / "server.pem").read_bytes() + (other / "server.key").read_bytes()
    (folder / "server.pem").write_bytes(mine)
    assert certificates.ensure(folder, None) == []
    assert (folder / "server.pem").read_bytes() == mine


def test_a_lost_key_of_ours_is_made_anew(tmp_path: Path) -> None:
    certificates.ensure(tmp_path, "radius.example.org")
    (tmp_path / "server.key").unlink()
    assert len(certificates.ensure(tmp_path, None)) == 2
    assert public_key(tmp_path / "server.pem") == public_key(tmp_path / "server.key")


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
    with pytest.raises(SmsotpError, match="; install openssl"):
        certificates.ensure(tmp_path / "certs", "radius.example.org")
