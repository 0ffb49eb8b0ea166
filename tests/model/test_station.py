"""Calling-Station-Id has one form whatever its writing, and Called-Station-Id gives its SSID."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.identity import normalise_station, ssid

MAC = "00-10-A4-23-19-C0"


@pytest.mark.parametrize(
    ("writing", "form"),
    [
        ("00-10-A4-23-19-C0", MAC),  # RFC 3580 3.21
        ("00-10-a4-23-19-c0", MAC),
        ("00:10:a4:23:19:c0", MAC),  # MikroTik, pfSense
        ("0010.a423.19c0", MAC),  # Cisco
        ("0010-a423-19c0", MAC),  # Huawei
        ("0010a42319c0", MAC),  # Aruba without delimiter
        ("00 10 A4 23 19 C0", MAC),
        (f"  {MAC} ", MAC),
        ("192.0.2.1", "192.0.2.1"),  # VPN servers
        ("192.0.2.1[4500]", "192.0.2.1"),  # strongSwan, unless station_id_with_port is off
        ("192.0.2.1:54321", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("2001:db8::1[500]", "2001:db8::1"),
        ("[2001:db8::1]:500", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("+49 30 1234567", "+49 30 1234567"),  # a caller
        ("pts/0", "pts/0"),
        ("00-10-A4-23-19", "00-10-A4-23-19"),
        ("00-10-A4-23-19-C0-11", "00-10-A4-23-19-C0-11"),
        ("192.0.2.300", "192.0.2.300"),
        ("host:22", "host:22"),
    ],
)
def test_every_writing_of_one_station_is_the_same(writing: str, form: str) -> None:
    """A device that roams to another maker's access point stays the device it was."""
    assert normalise_station(writing) == form


@given(st.text(max_size=30) | st.from_regex(r"[0-9a-fA-F:.\[\] -]{0,40}"))
def test_normalising_twice_changes_nothing(station: str) -> None:
    """A stored station is found under itself."""
    assert normalise_station(normalise_station(station)) == normalise_station(station)


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("00-10-A4-23-19-C0:Guests", "Guests"),  # RFC 3580 3.20: hostapd, Cisco, UniFi, FortiAP
        ("00-10-a4-23-19-c0:Office Wi-Fi", "Office Wi-Fi"),
        ("00:10:a4:23:19:c0:Guests", "Guests"),
        ("0010a42319c0:Guests", "Guests"),
        ("0010.a423.19c0:Guests", "Guests"),
        ("00-10-A4-23-19-C0:a:b", "a:b"),
        ("00-10-A4-23-19-C0::a", ":a"),
        ("00-10-A4-23-19-C0:AA:BB", "AA:BB"),
        ("00-10-A4-23-19-C0:guests ", "guests "),  # blanks and letter case belong to an SSID
        ("00-10-A4-23-19-C0 Guests", "Guests"),
        ("ap-2nd-floor:Guests", "Guests"),  # Cisco and Aruba can be told to send a name …
        ("10.0.0.7:Guests", "Guests"),  # … or an IP address
        ("00-10-A4-23-19-C0:", ""),
        ("00-10-A4-23-19-C0", ""),
        ("00:10:a4:23:19:c0", ""),
        ("0010a42319c0", ""),
        ("192.0.2.1", ""),  # VPN servers
        ("198.51.100.1[4500]", ""),
        ("198.51.100.1:443", ""),
        ("2001:db8::1", ""),
        ("2001:db8::1[4500]", ""),
        ("vpn.example.org", ""),
        ("", ""),
    ],
)
def test_the_ssid_is_what_stands_behind_the_access_point(called: str, name: str) -> None:
    """A VPN server's address holds none, even if it holds colons."""
    assert ssid(called) == name


@given(st.text(min_size=1, max_size=32), st.sampled_from(["-", ":", ""]))
def test_an_ssid_of_any_characters_comes_out_whole(name: str, separator: str) -> None:
    """Colons, digits and line breaks among them."""
    assert ssid(f"{separator.join(MAC.split('-'))}:{name}") == name


@given(st.text(max_size=300))
def test_no_called_station_is_too_strange(called: str) -> None:
    """It comes from outside: some text is returned, and no error."""
    assert ssid(called) in called
