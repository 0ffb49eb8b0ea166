"""What becomes of EAP at its outer end: reasons, and who is remembered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.events import EAP_REASONS
from radius_smsotp.radius import tunnels
from radius_smsotp.radius.tunnels import KEPT, SILENT, Tunnels, fault, is_hello
from tests.support.eap import IDENTITY, NAK, PEAP, TTLS, hello, response
from tests.support.radiusd import lists

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ALERT = "eap_peap: (TLS) Alert read:fatal:{}"
REJECTED = "eap_peap: The users session was previously rejected: returning reject (again.)"
FINISHED = response(5, PEAP, b"\0\x17\x03\x03")


@pytest.mark.parametrize(
    ("packet", "said", "found"),
    [
        (FINISHED, ALERT.format("unknown CA"), ("authority", "it says 'unknown CA'")),
        # As FreeRADIUS 3.2.7 writes it.
        (FINISHED, "eap_ttls: (TLS) TTLS - Alert read:fatal:bad certificate", ("certificate",)),
        (FINISHED, ALERT.format("certificate unknown"), ("certificate",)),
        (FINISHED, ALERT.format("certificate expired"), ("dates",)),
        (FINISHED, ALERT.format("handshake failure"), ("tls",)),
        (FINISHED, ALERT.format("decrypt error"), ("ended", "it says 'decrypt error'")),
        (FINISHED, "eap_peap: (TLS) Alert read:warning:close notify", ("ended",)),
        (FINISHED, "eap_peap: (TLS) Alert write:fatal:protocol version", ("tls",)),
        (FINISHED, "eap_peap: (TLS) Alert write:fatal:decode error", ("broken",)),
        (FINISHED, "smsotp_eap: rlm_eap: No EAP session matching state 0x00", ("conversation", "")),
        (
            FINISHED,
            "eap_peap: (TLS) Failed reading from OpenSSL: error:0:SSL routines::http request",
            ("broken", "http request"),
        ),
        # What the login in the tunnel came to is told of there.
        (FINISHED, REJECTED, None),
        (FINISHED, "", None),
        (response(5, NAK, bytes([13, 43])), "", ("method", "it asks for TLS, FAST")),
        (response(5, NAK, bytes([26, 13])), "", ("bare", "it asks for MSCHAPv2, TLS")),
        (response(5, NAK, bytes(range(50, 255))), "", ("method",)),
        (response(5, 26, b"\2"), "", ("method", "it sends MSCHAPv2 in place of what it was asked")),
        (response(5, IDENTITY, b"alice"), "", ("full", "")),
        (response(5, IDENTITY, b"bob"), "", ("identity", "")),
        (response(5, IDENTITY, b"\xff"), "", ("identity", "")),
        (b"\2\5\0\4", "", ("broken", "")),
        (b"", "", ("broken", "")),
    ],
)
def test_why_a_response_was_refused(
    packet: bytes, said: str, found: tuple[str, ...] | None
) -> None:
    told = fault(packet, [said] if said else [], "alice")
    assert (told is None) == (found is None)
    if told is not None and found is not None:
        assert told.reason in EAP_REASONS
        assert told.reason == found[0]
        assert len(told.words) < 80
        assert told.words.startswith(found[1] if found[1:] else "")


@given(packet=st.binary(max_size=40), said=st.lists(st.text(max_size=40)), name=st.text())
def test_whatever_comes_is_told_in_words(packet: bytes, said: list[str], name: str) -> None:
    told = fault(packet, said, name)
    assert told is None or told.reason in EAP_REASONS
    assert is_hello(packet) in {True, False}


def test_tls_begins_with_a_client_hello() -> None:
    """With the length before it, or without: RFC 5281 section 9.1."""
    whole = hello()
    for method in (PEAP, TTLS):
        assert is_hello(response(2, method, whole))
        assert is_hello(response(2, method, b"\0" + whole[5:]))
        assert is_hello(response(2, method, whole)[:100])
    for other in (b"", b"\0", whole[:9], b"\0" + whole[6:], b"\0\x15\x03\x03\0\2\2\x30"):
        assert not is_hello(response(2, PEAP, other))
    assert not is_hello(response(2, 13, whole))


class TestSilence:
    def begin(self, among: Tunnels, station: str, clock: float, name: str = "anonymous") -> None:
        pairs = [
            ("User-Name", name),
            ("SMSOTP-Client", "wifi"),
            ("Calling-Station-Id", station),
            ("EAP-Message", f"0x{response(2, PEAP, hello()).hex()[:506]}"),
        ]
        assert among.heard(lists(pairs), NOW, clock) is None

    def test_the_first_time_counts_and_is_told_once(self) -> None:
        among = Tunnels()
        for clock in (0.0, 50.0, 100.0):
            self.begin(among, "02-00", clock)
        assert among.silent(SILENT - 1) == []
        [event] = among.silent(SILENT)
        assert (event.account, event.client, event.station) == ("", "wifi", "02-00")
        assert among.silent(SILENT) == []

    def test_who_names_no_station_could_be_anybody(self) -> None:
        among = Tunnels()
        self.begin(among, "", 0.0)
        assert among.silent(SILENT) == []

    def test_only_so_many_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stations cost nothing to make up."""
        monkeypatch.setattr(tunnels, "KEPT", 8)
        assert KEPT > 512, "as many as may be under way"
        among = Tunnels()
        for number in range(20):
            self.begin(among, str(number), 0.0, f"user{number}")
        assert [event.station for event in among.silent(SILENT)] == [str(n) for n in range(12, 20)]
