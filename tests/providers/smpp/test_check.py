"""The provider ``smpp``: TLS, and `check`, which names each fault."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Unavailable
from radius_smsotp.providers.contract import message, soon
from tests.providers.smpp.smsc import PATIENCE, Smsc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Smsc]:
    with Smsc(tmp_path) as one:
        yield one


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> tuple[Path, Path]:
        pem, key = tmp_path / "smsc.pem", tmp_path / "smsc.key"
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        names = ["-subj", "/CN=smsc", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(key), "-out", str(pem)]
        subprocess.run([*words.split(), *names, *files], check=True, capture_output=True)
        return pem, key

    @pytest.fixture
    def smsc(self, tmp_path: Path, certificate: tuple[Path, Path]) -> Iterator[Smsc]:
        with Smsc(tmp_path, certificate=certificate) as one:
            yield one

    @pytest.mark.parametrize("trust", [{"ca_file": "smsc.pem"}, {"check_ssl": False}])
    def test_a_message_goes_out_over_tls(self, smsc: Smsc, trust: dict[str, Any]) -> None:
        one = smsc.provider(tls=True, **trust)
        assert one.check() == []
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: one.send(message(number), soon()), range(8)))
        assert len(smsc.received()) == 8

    def test_a_certificate_that_nobody_vouches_for_is_not_trusted(self, smsc: Smsc) -> None:
        one = smsc.provider(tls=True)
        with pytest.raises(Unavailable, match="self-signed certificate"):
            one.send(message(), soon())
        [problem] = one.check()
        assert problem.path == "providers.backup.ca_file"
        assert "its certificate is not accepted" in problem.fault
        assert smsc.seen("bind") == []

    def test_a_certificate_of_another_host_is_not_trusted(self, smsc: Smsc) -> None:
        one = smsc.provider(tls=True, ca_file="smsc.pem", smsc_host="localhost")
        with pytest.raises(Unavailable, match="not valid for 'localhost'"):
            one.send(message(), soon())

    @pytest.mark.parametrize("ca_file", ["no-such.pem", "smsc.key"])
    def test_a_file_that_holds_no_certificates_is_named(self, smsc: Smsc, ca_file: str) -> None:
        [problem] = smsc.provider(tls=True, ca_file=ca_file).check()
        assert problem.path == "providers.backup.ca_file"
        assert ca_file in problem.fault


class TestCheck:
    @pytest.mark.parametrize(
        ("status", "key", "words"),
        [
            (0x0E, "password", "first 8"),
            (0x0F, "system_id", "the operator gave you"),
            (0x53, "system_type", "leave it out"),
            (0x05, "system_id", "may be your own FreeRADIUS"),
            (0x0D, "system_id", "the number of binds"),
        ],
    )
    def test_a_refused_bind_is_named(self, smsc: Smsc, status: int, key: str, words: str) -> None:
        smsc.behave(bind=status)
        [problem] = smsc.provider().check()
        assert problem.path == f"providers.backup.{key}"
        assert words in problem.remedy

    def test_a_closed_port_is_named(self, smsc: Smsc) -> None:
        smsc.stop()
        [problem] = smsc.provider().check()
        assert problem.path == "providers.backup.smsc_host"
        assert "connection refused" in problem.fault

    def test_silence_is_named_in_time(self, smsc: Smsc) -> None:
        smsc.behave(bind="silent")
        with ThreadPoolExecutor(1) as pool:
            [problem] = pool.submit(smsc.provider(timeout=2).check).result(timeout=PATIENCE)
        assert problem.fault.endswith("does not answer the bind")

    def test_tls_with_a_port_that_has_none_is_named(self, smsc: Smsc) -> None:
        [problem] = smsc.provider(tls=True).check()
        assert problem.path == "providers.backup.smsc_host"
        assert "tls" in problem.remedy
