"""
What a device has to know to join the Wi-Fi, in the form that it reads: SSID, method, authority and
name of the server.  Pure.

None holds a password: what a device has stored is a PIN, or a code that is spent.
"""

from __future__ import annotations

import base64
import hashlib
import plistlib
import re
import ssl
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

OUTER = "anonymous"
"""What everybody in the air may read in the place of the user's name."""

TTLS = 21
"""RFC 5281 section 13: the EAP method."""


@dataclass(frozen=True, slots=True)
class Network:
    """
    What a profile says.

    Attributes:
        ssid: 1 to 32 octets of printable UTF-8 (IEEE 802.11 section 9.4.2.2).
        server: DNS name in the server's certificate.
        authority: Whom devices trust to have signed that, one certificate in PEM.
        user: Whose profile it is; None for everybody, and the device asks.
    """

    ssid: str
    server: str
    authority: str
    user: str | None = None

    @property
    def der(self) -> bytes:
        """The authority's certificate."""
        return ssl.PEM_cert_to_DER_cert(self.authority)

    @property
    def base64(self) -> str:
        """The same, in one line."""
        return base64.b64encode(self.der).decode()

    def uuid(self, part: str) -> str:
        """The same for the same network each time: a device then replaces what it has of it."""
        name = "\n".join((part, self.server, self.ssid))
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, name)).upper()


def wpa_supplicant(network: Network) -> str:
    """
    A block for ``wpa_supplicant.conf``, which asks for the PIN, then for the code.

    Source: the annotated wpa_supplicant.conf of hostap, "domain_match" and "blob-base64".
    """
    lines = {
        "ssid": _quoted(network.ssid),
        # The second: with protected management frames, as WPA3 has it.
        "key_mgmt": "WPA-EAP WPA-EAP-SHA256",
        "ieee80211w": "1",
        "eap": "PEAP",
        "phase2": '"auth=GTC"',
        "identity": _quoted(network.user) if network.user else "",
        "anonymous_identity": f'"{OUTER}"',
        "ca_cert": '"blob://smsotp-authority"',
        "domain_match": f'"{network.server}"',
    }
    block = "".join(f"\t{key}={value}\n" for key, value in lines.items() if value)
    body = "\n".join(network.authority.strip().splitlines()[1:-1])
    return f"network={{\n{block}}}\n\nblob-base64-smsotp-authority={{\n{body}\n}}\n"


def _quoted(text: str) -> str:
    """A string of wpa_supplicant's, as hex digits where quotes would not hold it."""
    if text.isascii() and '"' not in text:
        return f'"{text}"'
    return text.encode().hex()


def network_manager(network: Network) -> str:
    """
    A keyfile for ``/etc/NetworkManager/system-connections``, mode 0600.

    Source: nm-settings-keyfile(5), nm-settings(5); certificates within: libnm-core's
    nm-keyfile.c, "data:;base64,".
    """
    sections = {
        "connection": {
            "id": _keyfile(network.ssid),
            "uuid": network.uuid("connection").lower(),
            "type": "wifi",
        },
        # A list of octets stands for every name.
        "wifi": {"mode": "infrastructure", "ssid": "".join(f"{n};" for n in network.ssid.encode())},
        "wifi-security": {"key-mgmt": "wpa-eap"},
        "802-1x": {
            "eap": "ttls;",
            "phase2-auth": "pap",
            "identity": _keyfile(network.user or ""),
            "anonymous-identity": OUTER,
            "ca-cert": f"data:;base64,{network.base64}",
            "domain-match": network.server,
            # NM_SETTING_SECRET_FLAG_NOT_SAVED: it asks each time.
            "password-flags": "2",
        },
    }
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in values.items() if value)
        for name, values in sections.items()
    )


def _keyfile(text: str) -> str:
    """A string of GLib's key files: blanks at its ends would be lost."""
    escaped = text.replace("\\", "\\\\")
    return re.sub(r"^ +| +$", lambda blanks: "\\s" * len(blanks[0]), escaped)


def apple(network: Network) -> str:
    """
    A profile (``.mobileconfig``) for iOS, iPadOS and macOS, which asks at each connection.

    Source: com.apple.wifi.managed.yaml and com.apple.security.root.yaml in apple/device-management.
    """

    def payload(kind: str, part: str, title: str) -> dict[str, object]:
        return {
            "PayloadType": kind,
            "PayloadVersion": 1,
            "PayloadIdentifier": f"{network.server}.smsotp.{network.uuid(part)}",
            "PayloadUUID": network.uuid(part),
            "PayloadDisplayName": title,
        }

    method: dict[str, object] = {
        "AcceptEAPTypes": [TTLS],
        "TTLSInnerAuthentication": "PAP",
        "OuterIdentity": OUTER,
        "OneTimeUserPassword": True,
        "PayloadCertificateAnchorUUID": [network.uuid("authority")],
        "TLSTrustedServerNames": [network.server],
        "TLSMinimumVersion": "1.2",
    }
    if network.user:
        method["UserName"] = network.user
    authority = payload("com.apple.security.root", "authority", f"Authority of {network.server}")
    wifi = payload("com.apple.wifi.managed", "wifi", network.ssid)
    whole = payload("Configuration", "profile", network.ssid)
    authority["PayloadContent"] = network.der
    wifi |= {"SSID_STR": network.ssid, "EncryptionType": "WPA2", "EAPClientConfiguration": method}
    whole["PayloadContent"] = [authority, wifi]
    return plistlib.dumps(whole).decode()


def windows(network: Network) -> str:
    """
    A profile for ``netsh wlan add profile``; the authority is added to the machine's apart from it.

    Source: [MS-GPWL] 6.3.1 (WLANProfile) and 6.13.1 (EAP-TTLS), the OneX schema of Native Wifi;
    ``TrustedRootCAHash`` in the singular and the author 311 are what Windows itself exports, and
    what GEANT/CAT installs.
    """
    common = "http://www.microsoft.com/provisioning/EapCommon"
    profile = _element("WLANProfile", xmlns="http://www.microsoft.com/networking/WLAN/profile/v1")
    _add(profile, "name", network.ssid)
    named = _add(_add(profile, "SSIDConfig"), "SSID")
    _add(named, "hex", network.ssid.encode().hex().upper())
    _add(named, "name", network.ssid)
    _add(profile, "connectionType", "ESS")
    _add(profile, "connectionMode", "auto")
    security = _add(_add(profile, "MSM"), "security")
    encryption = _add(security, "authEncryption")
    for name, value in (("authentication", "WPA2"), ("encryption", "AES"), ("useOneX", "true")):
        _add(encryption, name, value)
    onex = _add(security, "OneX", xmlns="http://www.microsoft.com/networking/OneX/v1")
    _add(onex, "cacheUserData", "false")
    _add(onex, "authMode", "user")
    host = "http://www.microsoft.com/provisioning/EapHostConfig"
    config = _add(_add(onex, "EAPConfig"), "EapHostConfig", xmlns=host)
    method = _add(config, "EapMethod")
    for name, number in (("Type", TTLS), ("VendorId", 0), ("VendorType", 0), ("AuthorId", 311)):
        _add(method, name, str(number), xmlns=common)
    config = _add(config, "Config", xmlns=host)
    own = "http://www.microsoft.com/provisioning/EapTtlsConnectionPropertiesV1"
    ttls = _add(config, "EapTtls", xmlns=own)
    validation = _add(ttls, "ServerValidation")
    _add(validation, "ServerNames", network.server)
    thumbprint = hashlib.sha1(network.der, usedforsecurity=False).digest()
    _add(validation, "TrustedRootCAHash", thumbprint.hex(" "))
    _add(validation, "DisablePrompt", "true")
    _add(_add(ttls, "Phase2Authentication"), "PAPAuthentication")
    identity = _add(ttls, "Phase1Identity")
    _add(identity, "IdentityPrivacy", "true")
    _add(identity, "AnonymousIdentity", OUTER)
    return _document(profile)


def android(network: Network) -> str:
    """
    A file (``.eap-config``) for the app geteduroam, which sets up any network.

    Android itself reads profiles of device management and Passpoint only.  Source:
    draft-winter-opsawg-eap-metadata, eap-metadata.xsd in GEANT/CAT; geteduroam/android-app wants
    ``ProviderInfo`` and ``version``.
    """
    every = _element("EAPIdentityProviderList")
    scope = {"ID": network.server, "namespace": "urn:RFC4282:realm", "version": "1", "lang": "en"}
    provider = _add(every, "EAPIdentityProvider", **scope)
    method = _add(_add(provider, "AuthenticationMethods"), "AuthenticationMethod")
    _add(_add(method, "EAPMethod"), "Type", str(TTLS))
    server = _add(method, "ServerSideCredential")
    _add(server, "CA", network.base64, format="X.509", encoding="base64")
    _add(server, "ServerID", network.server)
    client = _add(method, "ClientSideCredential")
    _add(client, "OuterIdentity", OUTER)
    if network.user:
        _add(client, "UserName", network.user)
    inner = _add(method, "InnerAuthenticationMethod")
    # NonEAPAuthNumbers: PAP.
    _add(_add(inner, "NonEAPAuthMethod"), "Type", "1")
    air = _add(_add(provider, "CredentialApplicability"), "IEEE80211")
    _add(air, "SSID", network.ssid)
    _add(air, "MinRSNProto", "CCMP")
    _add(_add(provider, "ProviderInfo"), "DisplayName", network.ssid)
    return _document(every)


def _element(name: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.Element(name, attributes)


def _add(
    parent: ElementTree.Element, name: str, text: str = "", **attributes: str
) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name, attributes)
    child.text = text
    return child


def _document(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


FORMATS: Mapping[str, Callable[[Network], str]] = {
    "apple": apple,
    "windows": windows,
    "android": android,
    "networkmanager": network_manager,
    "wpa_supplicant": wpa_supplicant,
}
"""Name on the command line to what writes it."""
