"""Accounts of Active Directory by the recipe of docs/how-to/accounts, with Samba as the domain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.check import rehearsal
from tests.freeradius import recipe, stock
from tests.freeradius.domain import LOCKOUT, PASSWORD, Domain
from tests.freeradius.handshakes import HandshakeClient
from tests.freeradius.supplicant import PEAP_GTC, Supplicant
from tests.freeradius.test_elsewhere import command
from tests.freeradius.test_wifi import code as wifi_code
from tests.support.accounting import START, account, told
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site

SETTINGS = {"country": "DE", "lockout": {"failures": 3, "minutes": 15}}


@pytest.fixture(scope="module")
def asks_domain(domain: Domain) -> Callable[[Path], None]:
    """Makes a FreeRADIUS ask it by the recipe; one function, so that `share` knows it again."""
    return lambda raddb: recipe.install(
        raddb,
        "Active Directory",
        {
            "ldaps://dc1.ad.example.org": domain.url,
            "/etc/radius-smsotp/domain.pem": str(domain.certificate),
        },
    )


@pytest.fixture(scope="module")
def knows_names(asks_domain: Callable[[Path], None]) -> Callable[[Path], None]:
    """The same, and the first and the last case of `smsotp_name` hold."""

    def edit(raddb: Path) -> None:
        asks_domain(raddb)
        path = raddb / "policy.d" / "smsotp_first_factor"
        before, begin, behind = path.read_text().partition("smsotp_name {\n")
        block, end, behind = behind.partition("\n}\n")
        first, second, last = block.split("\n\n")
        cases = [re.sub("(?m)^#\t", "\t", first), second, re.sub("(?m)^#\t", "\t", last)]
        path.write_text("".join((before, begin, "\n\n".join(cases), end, behind)))

    return edit


@pytest.fixture
def radiusd(share: Callable[..., Radiusd], asks_domain: Callable[[Path], None]) -> Radiusd:
    """A FreeRADIUS that asks the domain."""
    return share(asks_domain, **SETTINGS)


def test_password_and_number_are_the_domains(radiusd: Radiusd) -> None:
    site = radiusd.site
    for name, hint in (("alice", "***01"), ("Jürgen", "***04"), ("other-mobile", "***05")):
        challenge = radiusd.challenge(name, PASSWORD)
        assert challenge.message == f"Enter the 6-digit code sent to {hint}: "
        assert radiusd.ask(name, "wrong").kind == "Access-Reject"
        code = site.code(challenge.state)
        assert radiusd.ask(name, code, challenge.state).kind == "Access-Accept"
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "pin-wrong", "code-accepted"]


WRITINGS = {
    "alice": "alice",
    "EXAMPLE\\alice": "alice",
    "example\\Alice": "alice",
    "Alice@ad.example.org": "alice",
    "jane": "jane",
    "jane.doe@AD.example.org": "jane",
    "EXAMPLE\\jürgen": "jürgen",
    "JÜRGEN@ad.example.org": "jürgen",
}
STRANGERS = ["OTHER\\alice", "alice@example.org", "*@ad.example.org", "x)(cn=*@ad.example.org"]


def test_every_writing_of_a_name_is_one_account(
    share: Callable[..., Radiusd], knows_names: Callable[[Path], None]
) -> None:
    radiusd = share(knows_names, **SETTINGS | {"limits": {"cooldown": 0}})
    site = radiusd.site
    for writing, name in WRITINGS.items():
        seen = len(site.kinds(name))
        challenge = radiusd.challenge(writing, PASSWORD)
        code = site.code(challenge.state)
        assert radiusd.ask(writing, code, challenge.state).kind == "Access-Accept"
        kinds = ["challenge-opened", "sms-accepted", "code-accepted"]
        assert site.kinds(name)[seen:] == kinds
    for name in STRANGERS:
        assert radiusd.ask(name, PASSWORD).kind == "Access-Reject"
    assert account(radiusd.port + 1, told(START, user=b"EXAMPLE\\alice")) == {}
    eventually(lambda: site.kinds("alice")[-1] == "session-started")
    with Supplicant(radiusd, PEAP_GTC, user="jane.doe@ad.example.org") as device:
        device.question()
        device.answer(PASSWORD)
        device.answer(wifi_code(site, "jane"))
        assert device.accepted()


@pytest.mark.once
def test_every_writing_of_a_name_counts_for_one_lock_out(
    share: Callable[..., Radiusd], knows_names: Callable[[Path], None]
) -> None:
    """So many wrong passwords that the domain would lock the account: we do, and it does not."""
    radiusd = share(knows_names, **SETTINGS | {"limits": {"cooldown": 0}})
    writings = [writing for writing, name in WRITINGS.items() if name == "alice"]
    for number in range(LOCKOUT + 1):
        assert radiusd.ask(writings[number % len(writings)], "wrong").kind == "Access-Reject"
    assert radiusd.ask("EXAMPLE\\alice", PASSWORD).kind == "Access-Reject"
    assert radiusd.site.events("alice")[-1].detail == {"reason": "locked"}
    command(radiusd.site, "user", "unlock", "alice")
    assert radiusd.challenge("EXAMPLE\\alice", PASSWORD)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "shown", "remedy"),
    [
        (
            "numberless",
            "refused: the directory (LDAP, SQL or a users file) has no number for the account",
            "=> add it there (mobile, otherMobile), or for a time here: ",
        ),
        (
            "extension",
            "refused: no value of SMSOTP-Phone is a phone number (SMSOTP-Phone holds letters, ",
            "=> mend the number where it comes from (mobile, otherMobile)",
        ),
    ],
)
def test_no_number_is_told_with_where_it_was_looked_for(
    radiusd: Radiusd, name: str, shown: str, remedy: str
) -> None:
    reply = radiusd.ask(name, PASSWORD)
    assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    trace = command(radiusd.site, "trace", name)
    assert shown in trace
    assert remedy in trace
    assert radiusd.site.messages() == []


REFUSED = {
    "disabled": "domain-disabled",
    "expired": "domain-expired",
    "must-change": "domain-must-change",
    "outside-hours": "domain-hours",
    "elsewhere": "domain-workstation",
}


@pytest.mark.parametrize("name", REFUSED)
def test_why_the_domain_refuses_somebody_is_told_to_us_alone(radiusd: Radiusd, name: str) -> None:
    """It looks like a wrong password, and does not count as one; no message goes out."""
    for _ in range(4):
        reply = radiusd.ask(name, PASSWORD)
        assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    site = radiusd.site
    assert site.kinds(name) == ["login-refused"] * 4
    assert site.events(name)[-1].detail == {"reason": REFUSED[name]}
    assert site.messages() == []
    assert radiusd.ask(name, "wrong").kind == "Access-Reject"
    # Of who is disabled nobody asks the domain.
    assert site.kinds(name)[-1] == ("login-refused" if name == "disabled" else "pin-wrong")


@pytest.mark.once
def test_an_account_that_the_domain_has_locked(radiusd: Radiusd, domain: Domain) -> None:
    for _ in range(LOCKOUT):
        domain.log_in("locked", "wrong")
    assert radiusd.ask("locked", PASSWORD).kind == "Access-Reject"
    assert radiusd.site.events("locked")[-1].detail == {"reason": "domain-locked"}
    trace = command(radiusd.site, "trace", "locked")
    assert "refused: the account is locked in the domain" in trace
    assert "=> unlock it in the domain" in trace


def test_who_is_disabled_between_the_steps_gets_in_no_more(
    radiusd: Radiusd, domain: Domain
) -> None:
    challenge = radiusd.challenge("bob", PASSWORD)
    code = radiusd.site.code(challenge.state)
    domain.replace("bob", "userAccountControl", "514")
    try:
        assert radiusd.ask("bob", code, challenge.state).kind == "Access-Reject"
    finally:
        domain.replace("bob", "userAccountControl", "512")
    assert radiusd.site.events("bob")[-1].detail == {"reason": "domain-disabled"}


def test_whose_password_is_changed_between_the_steps_gets_in_no_more(
    radiusd: Radiusd, domain: Domain
) -> None:
    """An attacker has sent the code to himself, say, and the helpdesk has heard of it."""
    challenge = radiusd.challenge("bob", PASSWORD)
    code = radiusd.site.code(challenge.state)
    domain.set_password("bob", PASSWORD)
    assert radiusd.ask("bob", code, challenge.state).kind == "Access-Reject"
    assert radiusd.site.events("bob")[-1].detail == {"reason": "domain-changed"}


def test_members_of_a_group_in_a_group(
    make_site: Callable[..., Site], domain: Domain, asks_domain: Callable[[Path], None]
) -> None:
    def edit(raddb: Path) -> None:
        asks_domain(raddb)
        group = recipe.code("Groups in Active Directory", "text")
        stock.replace(
            raddb / "mods-enabled" / "ldap", r"^ {8}update \{$", f"{group}        update {{"
        )
        recipe.install(raddb, "Groups in Active Directory", {})

    domain.member("vpn-users", "jürgen", stays=True)
    seen = domain.log().count("simple bind")
    site = make_site(**SETTINGS | {"limits": {"cooldown": 0}})
    radiusd = site.start(edit=edit)
    for name, outcome, met in (("alice", "open", "met"), ("jane", "refused", "not met")):
        ahead = rehearsal.tell(site.settings_path, radiusd.folder, None, name, "local")
        assert (ahead["outcome"], ahead["first_factor"]) == (outcome, ["ldap"])
        assert ahead["steps"][1]["what"] == '(&LDAP-Group == "vpn-users")'
        assert (ahead["steps"][0]["meaning"], ahead["steps"][1]["meaning"]) == (
            "knows the account",
            met,
        )
        assert ahead["reply"].get("Filter-Id", []) == ['"vpn-users"'] * (outcome == "open")
        assert ahead["attributes"] == ("mobile", "otherMobile")
    # Nobody has bound to it but who may look around.
    binds = [one for one in domain.log().splitlines() if "simple bind" in one][seen:]
    assert [one for one in binds if "[radius@ad.example.org]" not in one] == []
    told = {11: b"vpn-users", 25: b"OU=vpn-users", 81: b"20"}
    for name in ("alice", "bob", "jürgen"):
        challenge = radiusd.challenge(name, PASSWORD)
        assert not told.keys() & {number for number, _ in challenge.pairs}
        accepted = radiusd.ask(name, site.code(challenge.state), challenge.state)
        assert accepted.kind == "Access-Accept"
        found = {one: value.lstrip(b"\0") for one, value in accepted.pairs if one in told}
        assert found == told
    challenge = radiusd.challenge("jürgen", PASSWORD)
    domain.member("vpn-users", "jürgen", stays=False)
    code = site.code(challenge.state)
    assert radiusd.ask("jürgen", code, challenge.state).kind == "Access-Reject"
    for name in ("jane", "jürgen"):
        assert radiusd.ask(name, PASSWORD).kind == "Access-Reject"
        assert site.events(name)[-1].detail == {"reason": "refused"}
    assert radiusd.ask("nobody", PASSWORD).kind == "Access-Reject"
    assert site.events("nobody")[-1].detail == {"reason": "unknown-account"}


def by_ntlm_auth(raddb: Path, domain: Domain, title: str) -> None:
    """Install a recipe that calls ntlm_auth, which finds our domain's winbind here."""
    program = "/usr/bin/ntlm_auth"
    recipe.install(raddb, title, {program: f"{program} --configfile={domain.configuration}"})


def test_ms_chap_is_proved_to_winbind(
    make_site: Callable[..., Site], domain: Domain, knows_names: Callable[[Path], None]
) -> None:
    def edit(raddb: Path) -> None:
        knows_names(raddb)
        by_ntlm_auth(raddb, domain, "MS-CHAP in Active Directory")

    site = make_site(**SETTINGS)
    radiusd = site.start(edit=edit, prefix=domain.inside)
    client = HandshakeClient(radiusd.port)
    for user in ("alice", "jane.doe@ad.example.org"):
        challenge = client.ask("mschapv2", PASSWORD, user=user)
        assert challenge.kind == "Access-Challenge"
        code = site.code(challenge.state)
        accepted = client.ask("mschapv2", code, challenge.state, user=user)
        assert (accepted.kind, accepted.proved) == ("Access-Accept", True)
    refused = [client.ask("mschapv2", one, user="disabled").error for one in (PASSWORD, "wrong")]
    assert [one.partition(b" C=")[0] for one in refused] == [b"E=691 R=0"] * 2
    assert [one.partition(b" V=")[2] for one in refused] == [b"3 M=Authentication failed"] * 2
    for name, reason in REFUSED.items():
        assert client.ask("mschapv2", PASSWORD, user=name).kind == "Access-Reject"
        assert site.events(name)[-1].detail["reason"] == reason
    assert site.kinds("disabled") == ["login-refused", "pin-wrong", "login-refused"]


def test_a_password_that_has_to_be_changed(
    make_site: Callable[..., Site], domain: Domain, asks_domain: Callable[[Path], None]
) -> None:
    def edit(raddb: Path) -> None:
        asks_domain(raddb)
        by_ntlm_auth(raddb, domain, "Passwords that have expired")

    site = make_site(**SETTINGS)
    radiusd = site.start(edit=edit, prefix=domain.inside)
    client = HandshakeClient(radiusd.port)

    def refused(password: str, **more: str) -> bytes:
        reply = client.ask("mschapv2", password, **{"user": "newcomer"} | more)
        assert reply.kind == "Access-Reject"
        return reply.error

    for client.identifier in (b"\x05", b"\x5c", b"\x85"):
        error = refused(PASSWORD)
        assert re.fullmatch(rb"E=648 R=0 C=[0-9a-f]{32} V=3 M=Password expired", error)
    assert site.events("newcomer")[-1].detail == {"reason": "domain-must-change"}
    assert refused("wrong") == b""
    # What a client sends for a new password counts like any other.
    assert refused("Other.word", old="wrong") == b"E=709 R=0 M=Password change failed"
    assert site.kinds("newcomer")[-2:] == ["pin-wrong", "pin-wrong"]
    assert refused("short", old=PASSWORD) == b"E=709 R=0 M=Password change failed"
    assert site.events("newcomer")[-1].detail["reason"] == "domain-rules"
    challenge = client.ask("mschapv2", "Other.word", user="newcomer", old=PASSWORD)
    assert challenge.kind == "Access-Challenge"
    accepted = client.ask("mschapv2", site.code(challenge.state), challenge.state, user="newcomer")
    assert (accepted.kind, accepted.proved) == ("Access-Accept", True)
    assert domain.log_in("newcomer", "Other.word")
    # Nothing else shows.
    client.identifier = b"\x05"
    assert refused(PASSWORD, user="disabled").startswith(b"E=691 R=0 C=")
    challenge = client.ask("mschapv2", "Other.word", user="newcomer")
    code = site.code(challenge.state)
    guess = client.ask("mschapv2", "Third.word", challenge.state, user="newcomer", old=code)
    assert guess.kind == "Access-Reject"
    assert domain.log_in("newcomer", "Other.word")
