"""Profiles for devices: SSID, authority and name in the elements that their readers know."""

from __future__ import annotations

import base64
import hashlib
import plistlib
import re
import ssl
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from radius_smsotp.raddb import certificates, profiles

if TYPE_CHECKING:
    from pathlib import Path

SERVER = "radius.example.org"
SSIDS = pytest.mark.parametrize("ssid", ["Office", 'Büro "A" <&> \\', " 1;2; "])
USERS = pytest.mark.parametrize("user", ["alice", None], ids=["named", "everybody"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """In PEM."""
    folder: Path = tmp_path_factory.mktemp("certs")
    certificates.ensure(folder, SERVER)
    return (folder / "ca.pem").read_text("utf-8")


def inside(text: str) -> list[str]:
    """The innermost elements of an XML file in their order: all names above, and the text."""

    def walk(element: ElementTree.Element, above: str) -> list[str]:
        path = f"{above}/{element.tag.rpartition('}')[2]}"
        if len(element):
            return [one for child in element for one in walk(child, path)]
        return [f"{path}={element.text}" if element.text else path]

    return walk(ElementTree.fromstring(text), "")


def namespaces(text: str) -> dict[str, str]:
    """The namespace of each element by its name."""
    tags = [one.tag[1:].partition("}") for one in ElementTree.fromstring(text).iter()]
    return {name: namespace for namespace, _, name in tags}


@SSIDS
def test_windows_finds_its_elements_in_their_order(ssid: str, authority: str) -> None:
    """[MS-GPWL] 6.3.1 and 6.13.1, and OneX of Native Wifi, whose order is enforced."""
    text = profiles.windows(profiles.Network(ssid, SERVER, authority))
    digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(authority)).hexdigest()
    shown = " ".join(digest[at : at + 2] for at in range(0, 40, 2))
    top, security = "/WLANProfile", "/WLANProfile/MSM/security"
    host = f"{security}/OneX/EAPConfig/EapHostConfig"
    assert inside(text) == [
        f"{top}/name={ssid}",
        f"{top}/SSIDConfig/SSID/hex={ssid.encode().hex().upper()}",
        f"{top}/SSIDConfig/SSID/name={ssid}",
        f"{top}/connectionType=ESS",
        f"{top}/connectionMode=auto",
        f"{security}/authEncryption/authentication=WPA2",
        f"{security}/authEncryption/encryption=AES",
        f"{security}/authEncryption/useOneX=true",
        f"{security}/OneX/cacheUserData=false",
        f"{security}/OneX/authMode=user",
        f"{host}/EapMethod/Type=21",
        f"{host}/EapMethod/VendorId=0",
        f"{host}/EapMethod/VendorType=0",
        f"{host}/EapMethod/AuthorId=311",
        f"{host}/Config/EapTtls/ServerValidation/ServerNames={SERVER}",
        f"{host}/Config/EapTtls/ServerValidation/TrustedRootCAHash={shown}",
        f"{host}/Config/EapTtls/ServerValidation/DisablePrompt=true",
        f"{host}/Config/EapTtls/Phase2Authentication/PAPAuthentication",
        f"{host}/Config/EapTtls/Phase1Identity/IdentityPrivacy=true",
        f"{host}/Config/EapTtls/Phase1Identity/AnonymousIdentity=anonymous",
    ]
    found = namespaces(text)
    microsoft = "http://www.microsoft.com"
    assert {name: found[name] for name in ("MSM", "authMode", "Config", "Type", "EapTtls")} == {
        "MSM": f"{microsoft}/networking/WLAN/profile/v1",
        "authMode": f"{microsoft}/networking/OneX/v1",
        "Config": f"{microsoft}/provisioning/EapHostConfig",
        "Type": f"{microsoft}/provisioning/EapCommon",
        "EapTtls": f"{microsoft}/provisioning/EapTtlsConnectionPropertiesV1",
    }
    assert found["PAPAuthentication"] == found["EapTtls"]


@SSIDS
@USERS
def test_geteduroam_finds_its_elements_in_their_order(
    ssid: str, user: str | None, authority: str
) -> None:
    """eap-metadata.xsd."""
    told = inside(profiles.android(profiles.Network(ssid, SERVER, authority, user)))
    provider = "/EAPIdentityProviderList/EAPIdentityProvider"
    method = f"{provider}/AuthenticationMethods/AuthenticationMethod"
    body = base64.b64encode(ssl.PEM_cert_to_DER_cert(authority)).decode()
    assert told == [
        f"{method}/EAPMethod/Type=21",
        f"{method}/ServerSideCredential/CA={body}",
        f"{method}/ServerSideCredential/ServerID={SERVER}",
        f"{method}/ClientSideCredential/OuterIdentity=anonymous",
        *([f"{method}/ClientSideCredential/UserName={user}"] if user else []),
        f"{method}/InnerAuthenticationMethod/NonEAPAuthMethod/Type=1",
        f"{provider}/CredentialApplicability/IEEE80211/SSID={ssid}",
        f"{provider}/CredentialApplicability/IEEE80211/MinRSNProto=CCMP",
        f"{provider}/ProviderInfo/DisplayName={ssid}",
    ]


IDENTIFIER = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


@SSIDS
@USERS
def test_apple_finds_two_payloads_one_of_which_trusts_the_other(
    ssid: str, user: str | None, authority: str
) -> None:
    """com.apple.wifi.managed and com.apple.security.root."""
    network = profiles.Network(ssid, SERVER, authority, user)
    whole: dict[str, Any] = plistlib.loads(profiles.apple(network).encode())
    root, wifi = whole["PayloadContent"]
    for one, kind in (
        (whole, "Configuration"),
        (root, "com.apple.security.root"),
        (wifi, "com.apple.wifi.managed"),
    ):
        assert (one["PayloadType"], one["PayloadVersion"]) == (kind, 1)
        assert IDENTIFIER.fullmatch(one["PayloadUUID"])
        assert one["PayloadIdentifier"]
    assert root["PayloadContent"] == ssl.PEM_cert_to_DER_cert(authority)
    assert (wifi["SSID_STR"], wifi["EncryptionType"]) == (ssid, "WPA2")
    method = wifi["EAPClientConfiguration"]
    assert method.pop("UserName", None) == user
    assert method == {
        "AcceptEAPTypes": [21],
        "TTLSInnerAuthentication": "PAP",
        "OuterIdentity": "anonymous",
        "OneTimeUserPassword": True,
        "PayloadCertificateAnchorUUID": [root["PayloadUUID"]],
        "TLSTrustedServerNames": [SERVER],
        "TLSMinimumVersion": "1.2",
    }


def test_a_device_replaces_what_it_has_of_a_network(authority: str) -> None:
    """Made again, a profile has the identifiers of before; that of another network has others."""

    def identifiers(ssid: str) -> set[str]:
        text = profiles.apple(profiles.Network(ssid, SERVER, authority))
        return {found[0] for found in IDENTIFIER.finditer(text)}

    assert identifiers("Office") == identifiers("Office")
    assert not identifiers("Office") & identifiers("Guests")


@pytest.mark.parametrize("kind", profiles.FORMATS)
def test_nothing_in_it_is_secret(kind: str, authority: str) -> None:
    """It is sent round by mail: no password of anybody."""
    text = profiles.FORMATS[kind](profiles.Network("Office", SERVER, authority, "alice"))
    assert "password" not in re.sub("OneTimeUserPassword|password-flags=2", "", text).lower()
