"""
FreeRADIUS's attribute pairs to a `Request`, and a reply to what FreeRADIUS takes back.

FreeRADIUS hands every value over as `str`, octets as ``0x`` and hex digits.  Of what goes
back it takes exact types only: `int`, `str`, `tuple`, `dict`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from radius_smsotp.login.request import Request, Step
from radius_smsotp.model import identity, pin
from radius_smsotp.model.records import Client
from radius_smsotp.model.text import REPLY_MESSAGE_OCTETS, fit
from radius_smsotp.radius import eap

Pair = tuple[str, str, str]
"""Attribute, operator, value."""

Result = tuple[int, dict[str, tuple[Pair, ...]]]
"""A return code of rlm_python3 and updates to the lists ``request``, ``reply``, ``config``."""

STATE = re.compile(r"[0-9a-f]{32}")
"""A State of ours: the transaction_id, 32 printable octets without NUL."""

STEPS = {step.value: step for step in Step}
"""By what ``SMSOTP-Step`` holds."""

HANDSHAKES = {
    "CHAP-Password": "CHAP",
    "MS-CHAP-Response": "MS-CHAP",
    "MS-CHAP2-Response": "MS-CHAPv2",
}
"""Attributes that prove a password (RFC 2865 section 5.3; RFC 2548 sections 2.1.3 and 2.3.2)."""

CHANGE, MAY_CHANGE = "MS-CHAP2-CPW", "change"
"""What a client sends beside a new password (RFC 2548 section 2.3.4), and the value of
``SMSOTP-MSCHAP`` with which it may."""

REFUSALS = frozenset(("Access-Reject", "Do-Not-Respond"))
"""Values of ``Response-Packet-Type`` by which a module before ours has refused."""

PROVABLE = frozenset(("Cleartext-Password", "NT-Password", "SMSOTP-MSCHAP"))
"""Attributes by which mschap checks a password; the last one says that ntlm_auth does it."""

KNOWN_GOOD = re.compile(
    r"(Cleartext|Crypt|NT|LM|S?MD5|NS-MTA-MD5|S?SHA1?|SHA2|SSHA2-\d+|PBKDF2)-Password"
    r"|Password-With-Header|.*LDAP-UserDN",
    re.IGNORECASE,
)
"""Attributes with which pap compares (`rlm_pap.c`, ``mod_authenticate``); the last one, which may
have another beginning, is that by which ldap says whom it can bind as."""

MISMATCH = "PBKDF2 digest does not match"
"""What pap says of a password that is not the one of ``PBKDF2-Password`` (`rlm_pap.c`)."""

UNCOMPARED = "No NT-Password"
"""What mschap says of a handshake that it can compare with nothing (`rlm_mschap.c`)."""

BY_DOMAIN = re.compile(
    r"[\w.-]+: (?:Server said: \w+: LdapErr: .*AcceptSecurityContext error, data (?P<ldap>\w+),.*"
    r"|Program returned code \(\d+\) and output '.*\(0xc000(?P<ntlm>\w{4})\).*'"
    r"|ntlm auth password change failed: .*password update (?P<change>rule).*)",
    re.IGNORECASE | re.DOTALL,
)
"""What ldap says that Active Directory has said, and what ntlm_auth has told mschap or exec."""

DOMAIN_REASONS = {
    ("530", "006f"): "domain-hours",
    ("531", "0070"): "domain-workstation",
    ("532", "0071"): "domain-password-expired",
    ("533", "0072"): "domain-disabled",
    ("701", "0193"): "domain-expired",
    ("773", "0224"): "domain-must-change",
    ("775", "0234"): "domain-locked",
    ("rule",): "domain-rules",
}
"""Codes of a bind and of NTLM ([MS-ERREF] sections 2.2 and 2.3) to why the domain refuses somebody,
whose password was right; of who is locked it does not look at the password.  The last one is what
ntlm_auth says of STATUS_PASSWORD_RESTRICTION, of which it tells no code."""

BY_CLIENT = "client"
"""Of ``SMSOTP-Proved``: the client has checked the first factor."""


class Attribute(NamedTuple):
    """
    What goes to and fro beside the packet itself.

    Attributes:
        place: The list of FreeRADIUS that holds it; the control list is ``config`` in Python.
        set_by, read_by: Who: ``hook``; ``policy``, our unlang; ``modules`` of FreeRADIUS, before
            ours or after, and FreeRADIUS itself.
        says: What.
    """

    place: str
    set_by: str
    read_by: str
    says: str


_ROWS = {
    "SMSOTP-Phone": ("control", "modules", "hook", "a number of the account"),
    "SMSOTP-Way": ("control", "modules", "hook", "another way to the user"),
    "SMSOTP-Provider": ("control", "modules", "hook", "the provider that is tried first"),
    "SMSOTP-Style": ("control", "modules policy", "hook", "how the code is asked for"),
    "SMSOTP-Text": ("control", "modules", "hook", "the text of the message"),
    "SMSOTP-Language": ("control", "modules", "hook", "the language of the account"),
    "SMSOTP-MSCHAP": ("control", "modules", "policy hook", "ntlm_auth checks MS-CHAPv2"),
    "SMSOTP-Client": ("request", "policy", "policy hook", "the RADIUS client that asks"),
    "SMSOTP-Client-Address": ("request", "policy", "policy hook", "its address"),
    "SMSOTP-Packet": ("request", "policy", "policy hook", "the Request Authenticator"),
    "SMSOTP-EAP": ("control", "policy", "policy hook", "EAP-Message is ours to answer"),
    "SMSOTP-Unsigned": ("request", "policy", "policy", "that a proxy has not signed it"),
    "SMSOTP-Tunnel": ("request", "policy", "policy", "the kind of tunnel, or that it is unfit"),
    "SMSOTP-Tunnel-Client": ("request", "policy", "policy", "who asks at its outer end"),
    "SMSOTP-Tunnel-Client-Address": ("request", "policy", "policy", "that one's address"),
    "SMSOTP-Step": ("control", "policy hook", "policy hook", "what came"),
    "SMSOTP-Matched": ("control", "hook", "hook", "what code came with the PIN"),
    "SMSOTP-Reason": ("control", "policy hook", "policy hook", "why the login is refused"),
    "SMSOTP-Settled": ("control", "hook", "policy hook", "how a hook has decided the login"),
    "SMSOTP-Begun": ("control", "hook", "modules", "when the login began that is accepted now"),
    "SMSOTP-Ticket": ("control", "hook", "policy hook", "what another instance waits for"),
    "SMSOTP-Candidate": ("control", "hook", "policy", "what a handshake is to prove first"),
    "SMSOTP-Proved": ("control", "policy hook", "policy hook", "that it is proved, or by whom"),
    "SMSOTP-Known": ("control", "policy", "policy", "Cleartext-Password, kept meanwhile"),
    "SMSOTP-Known-NT": ("control", "policy", "policy", "NT-Password, kept meanwhile"),
    "SMSOTP-Hidden": ("control", "policy", "policy", "User-Name, kept while nobody is checked"),
    "SMSOTP-Hidden-Stripped": ("control", "policy", "policy", "Stripped-User-Name, kept too"),
    "Tmp-Octets-0": ("request", "policy", "policy hook", "User-Name that is not plain ASCII"),
    "Tmp-Octets-1": ("request", "policy", "policy hook", "User-Password that is not"),
    "Tmp-Octets-2": ("request", "policy", "policy hook", "Stripped-User-Name that is not"),
    "Tmp-Octets-3": ("request", "policy", "hook", "Called-Station-Id that is not"),
    "Tmp-Octets-4": ("request", "policy", "hook", "Calling-Station-Id that is not"),
    "Auth-Type": ("control", "policy hook", "modules policy", "what checks the login"),
    "PBKDF2-Password": ("control", "hook", "modules hook", "the hash of the PIN, for pap"),
    "Module-Failure-Message": ("request", "modules policy", "hook", "why the login is refused"),
    "Cleartext-Password": ("control", "modules policy", "modules policy hook", "the first factor"),
    "NT-Password": ("control", "modules policy", "modules policy hook", "its NT hash"),
    "Response-Packet-Type": ("control", "modules hook", "modules hook", "what the reply is"),
}
ATTRIBUTES = {name: Attribute(*row) for name, row in _ROWS.items()}
"""Every attribute of ours, and what else the hooks set or read in the control list."""


def parse(lists: Mapping[str, Any] | None) -> Request | None:
    """
    Read what rlm_python3 passes with ``pass_all_vps_dict``.

    Returns:
        None if there is no user name: then this is nothing for us.
    """
    request = first_values((lists or {}).get("request"))
    config = first_values((lists or {}).get("config"))
    # radreply, and indented lines of a users file, are the reply list.
    of_account = first_values((lists or {}).get("reply")) | config
    given, stripped = _decoded(request, "Tmp-Octets-0"), _decoded(request, "Tmp-Octets-2")
    name = stripped or request.get("Stripped-User-Name") or given or request.get("User-Name")
    if not name:
        return None
    sent = request.get("User-Password")
    password = _decoded(request, "Tmp-Octets-1")
    if password is None and sent is not None:
        password = pin.normalise(sent)
    state = (octets(request.get("State")) or b"").decode("latin-1")
    transaction_id = state if STATE.fullmatch(state) else None
    turn = None
    if "SMSOTP-EAP" in config and "EAP-Message" in request:
        packet, two = octets(request["EAP-Message"]) or b"", config["SMSOTP-EAP"] == "gtc-two"
        turn = eap.read(packet, state, two=two)
        password = pin.decode(turn.answer) if turn.step in {Step.PIN, Step.CODE} else None
        transaction_id = turn.transaction_id or None
    password = None if password is None else pin.typed(password)
    unfit = turn is not None and turn.step is None
    nul = "\0" in f"{name}{given}{password}"
    said = failures(lists)
    pin_hash = octets(config.get("PBKDF2-Password")) or b""
    proofs = [] if password is not None else [one for one in HANDSHAKES if one in request]
    method = HANDSHAKES[proofs[0]] if proofs else ""
    # mschap proves the new one, once it has changed it; that has nothing to do with codes.
    changes = CHANGE in request and config.get("SMSOTP-MSCHAP") == MAY_CHANGE and not state
    if CHANGE in request:
        method = "MS-CHAPv2, with a new password" if changes else ""
    # smsotp_handshake refuses CHAP without a word where there is nothing in the clear.
    silent = method == "CHAP" and "Cleartext-Password" not in config and not said
    matched, _, number = config.get("SMSOTP-Matched", "").partition(" ")
    address = request.get("SMSOTP-Client-Address", "")
    return Request(
        user=name,
        password=password,
        name=given,
        stripped=stripped,
        malformed=nul or unfit,
        nul=nul,
        identity=given or request.get("User-Name", name),
        rewritten=password != sent,
        transaction_id=transaction_id,
        client=Client(
            request.get("SMSOTP-Client") or address or request.get("NAS-Identifier", "unknown"),
            address,
            identity.normalise_station(_text(request, "Calling-Station-Id", "Tmp-Octets-4")),
            # What FreeRADIUS's policy rewrite_called_station_id has cut off, if it ran before us.
            request.get("Called-Station-SSID")
            or identity.ssid(_text(request, "Called-Station-Id", "Tmp-Octets-3")),
        ),
        handshake=method != "",
        method=method,
        changes=changes,
        tunnelled="EAP-Message" in request or "SMSOTP-EAP" in config,
        eap=turn,
        step=STEPS.get(config.get("SMSOTP-Step", "")),
        matched=matched if STATE.fullmatch(matched) else "",
        number=int(number) if number.isdecimal() else None,
        reason=config.get("SMSOTP-Reason")
        or ("refused" if config.get("Response-Packet-Type") in REFUSALS else ""),
        settled="SMSOTP-Settled" in config,
        proved=config.get("SMSOTP-Proved", BY_CLIENT) != BY_CLIENT,
        unasked=config.get("SMSOTP-Proved") == BY_CLIENT,
        cleartext=config.get("Cleartext-Password"),
        provable=not PROVABLE.isdisjoint(config),
        known_good=any(map(KNOWN_GOOD.fullmatch, config)),
        pin_hash=pin_hash.decode("latin-1"),
        mismatch=bool(said) and all(MISMATCH in one for one in said),
        by_domain=_by_domain(said),
        # Of a password other modules may say anything, a name that was sent among it.
        uncompared=silent or (method != "" and any(UNCOMPARED in one for one in said)),
        phones=_of_account(lists, "SMSOTP-Phone"),
        ways=_of_account(lists, "SMSOTP-Way"),
        provider=of_account.get("SMSOTP-Provider") or None,
        style=of_account.get("SMSOTP-Style") or None,
        template=of_account.get("SMSOTP-Text") or None,
        packet=request.get("SMSOTP-Packet", ""),
        language=of_account.get("SMSOTP-Language", ""),
    )


def _of_account(lists: Mapping[str, Any] | None, attribute: str) -> tuple[str, ...]:
    """All values of an attribute in the lists where modules say what they know of an account."""
    known = lists or {}
    return _values(known.get("config"), attribute) + _values(known.get("reply"), attribute)


def result(
    code: int,
    reply: Iterable[tuple[str, str | None]] = (),
    config: Iterable[tuple[str, str | None]] = (),
    request: Iterable[tuple[str, str | None]] = (),
) -> Result:
    """
    What a hook returns: a return code, and attributes to set in the three lists, but for those
    whose value is None.  The policy signs the reply (`smsotp_sign`).
    """
    lists = {"reply": reply, "config": config, "request": request}
    updates = {
        name: tuple((one, ":=", _escape(value)) for one, value in pairs if value is not None)
        for name, pairs in lists.items()
    }
    return (int(code), {name: pairs for name, pairs in updates.items() if pairs})


def ticket(lists: Mapping[str, Any] | None) -> str:
    """What the first instance gave the second one to find its login by; "" if nothing."""
    return first_values((lists or {}).get("config")).get("SMSOTP-Ticket", "")


def matched(transaction_id: str, number: int | None) -> str | None:
    """``SMSOTP-Matched`` of a challenge, an emergency code, or both; None if there is neither."""
    if number is None:
        return transaction_id or None
    return f"{transaction_id or 'emergency'} {number}"


def reply_message(text: str) -> tuple[str, str]:
    """A `Reply-Message`, cut to what one attribute holds, on a character boundary."""
    return ("Reply-Message", fit(text, REPLY_MESSAGE_OCTETS))


def failures(lists: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Why modules have failed, in their words; unlang's own begin with no module's name."""
    said = _values((lists or {}).get("request"), "Module-Failure-Message")
    return tuple([one for one in said if re.match(r"[\w.-]+: ", one)])


def _by_domain(said: Iterable[str]) -> str:
    """Why Active Directory has refused somebody, whatever the password; "" if it has not."""
    found = [match for one in said if (match := BY_DOMAIN.fullmatch(one))]
    if not found:
        return ""
    codes = {(one["ldap"] or one["ntlm"] or one["change"]).lower() for one in found}
    return next((why for known, why in DOMAIN_REASONS.items() if codes & {*known}), "")


def eap_message(packet: bytes) -> tuple[str, str]:
    """An `EAP-Message`; FreeRADIUS cuts it to attributes (RFC 3579 section 3.1)."""
    return ("EAP-Message", f"0x{packet.hex()}")


def first_values(pairs: Any) -> dict[str, str]:
    """The first value of each attribute."""
    return dict(reversed(pairs or ()))


def _text(request: Mapping[str, str], attribute: str, octets: str) -> str:
    """
    An attribute, or the octets that `smsotp_authorize` has made of it; "" if it is not there.

    A NUL ends it, as it does for FreeRADIUS; PostgreSQL takes none.
    """
    decoded = _decoded(request, octets)
    return (request.get(attribute, "") if decoded is None else decoded).partition("\0")[0]


def _decoded(request: Mapping[str, str], attribute: str) -> str | None:
    """The text in an attribute of octets, if it is there."""
    raw = octets(request.get(attribute))
    return None if raw is None else pin.decode(raw)


def _values(pairs: Any, name: str) -> tuple[str, ...]:
    """All values of one attribute that say anything, in the order in which they were set."""
    return tuple([pair[1] for pair in pairs or () if pair[0] == name and pair[1].strip()])


def octets(value: str | None) -> bytes | None:
    """``0x…`` to octets; what is no such text stays out."""
    if value is None or not value.startswith("0x"):
        return None
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        return None


def _escape(value: str) -> str:
    # FreeRADIUS reads returned values like a string in double quotes.
    return value.replace("\\", "\\\\")
