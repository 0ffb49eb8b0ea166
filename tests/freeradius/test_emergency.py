"""Emergency codes get in wherever those of messages do, and no message is sent meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from tests.freeradius import recipe
from tests.freeradius.handshakes import HandshakeClient
from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, TTLS_PAP, Supplicant
from tests.freeradius.test_wifi_once import PEAP_MSCHAPV2, attempt
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPT = "Enter one of your emergency codes (10 digits): "
FILES = "files {\n\tfilename = ${confdir}/users\n}\n"


def known(raddb: Path) -> None:
    """A users file knows alice's PIN, erin with a number, and gina, who has none there."""
    users = [f'{name} Cleartext-Password := "{PIN}"' for name in ("alice", "gina")]
    users.append(f'erin Cleartext-Password := "{PIN}", SMSOTP-Phone := "+491701234599"')
    (raddb / "users").write_text("\n".join([*users, ""]))
    (raddb / "mods-enabled" / "files").write_text(FILES)
    path = raddb / "policy.d" / "smsotp_first_factor"
    recipe.replace_policies(path, "smsotp_account {\n\tfiles\n}\n")


@pytest.fixture
def radiusd(share: Callable[..., Radiusd]) -> Radiusd:
    return share(known)


def command(site: Site, *words: str) -> str:
    """What ``smsotp`` prints, called here: each process of its own takes half a second."""
    done = CliRunner().invoke(smsotp, ["--config", str(site.settings_path), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def make(site: Site, *options: str, name: str = "alice") -> list[str]:
    """What the helpdesk does."""
    [made] = json.loads(command(site, "user", "code", name, "--json", *options))["results"]
    codes: list[str] = made["codes"]
    return codes


def test_with_state_and_in_one_password(site: Site, radiusd: Radiusd) -> None:
    """Once each; the next login has an SMS again."""
    first, second = make(site, "--count", "2")
    asked = radiusd.challenge()
    assert asked.message == PROMPT
    wrong = radiusd.ask("alice", "0000000000", asked.state)
    assert (wrong.kind, wrong.message) == ("Access-Challenge", f"Wrong code, 2 left. {PROMPT}")
    resent = radiusd.ask("alice", "r", asked.state)
    assert resent.message == f"No more SMS can be sent now. {PROMPT}"
    spaced = f"{first[:5]} {first[5:]}"
    assert radiusd.ask("alice", spaced, asked.state).kind == "Access-Accept"
    assert radiusd.ask("alice", PIN + first).kind == "Access-Reject"
    assert radiusd.ask("alice", PIN + second).kind == "Access-Accept"
    assert radiusd.ask("alice", PIN + second).kind == "Access-Reject"
    assert site.messages() == []
    assert "sent to ***67" in radiusd.challenge().message
    assert "an emergency code was right: logged in (number 2" in command(site, "trace", "alice")


def test_over_wi_fi(site: Site, radiusd: Radiusd) -> None:
    """Asked for in the second round, or typed behind the PIN in whatever tunnel and method."""
    codes = make(site, "--count", "6")
    for method in (PEAP_GTC, TTLS_GTC):
        with Supplicant(radiusd, method, user="alice") as device:
            assert device.question() == "PIN: "
            assert device.answer(PIN) == PROMPT
            assert device.answer(codes.pop()) is None
            assert device.accepted()
    for method in (PEAP_GTC, TTLS_PAP):
        typed = PIN + codes.pop()
        assert attempt(radiusd, method, typed)
        assert not attempt(radiusd, method, typed)
    # What is proved is the next one of the list.
    assert not attempt(radiusd, PEAP_MSCHAPV2, PIN + codes[1])
    for typed in codes:
        assert attempt(radiusd, PEAP_MSCHAPV2, PIN + typed)
    assert site.messages() == []


def test_chap_and_ms_chap_prove_the_next_of_the_list(site: Site, radiusd: Radiusd) -> None:
    """In the second step, and behind the PIN."""
    codes = make(site, "--count", "6")
    client = HandshakeClient(radiusd.port)
    for kind in ("chap", "mschap", "mschapv2"):
        asked = client.ask(kind, PIN)
        assert (asked.kind, asked.message) == ("Access-Challenge", PROMPT)
        later = client.ask(kind, codes[1], asked.state)
        assert later.message == f"Wrong code, 2 left. {PROMPT}"
        accepted = client.ask(kind, codes[0], asked.state)
        assert (accepted.kind, accepted.proved) == ("Access-Accept", kind == "mschapv2")
        assert client.ask(kind, PIN + codes[0]).kind == "Access-Reject"
        assert client.ask(kind, PIN + codes[1]).kind == "Access-Accept"
        del codes[:2]
    assert site.messages() == []


def test_a_name_that_has_no_number_anywhere(site: Site, radiusd: Radiusd) -> None:
    """It is told as such; a code is all that lets it in."""
    assert radiusd.ask("gina", PIN).kind == "Access-Reject"
    assert "has no number for the account" in command(site, "trace", "gina")
    [code] = make(site, name="gina")
    assert radiusd.ask("gina", f"wrong{code}").kind == "Access-Reject"
    asked = radiusd.challenge("gina")
    assert asked.message == PROMPT
    assert radiusd.ask("gina", code, asked.state).kind == "Access-Accept"
    assert radiusd.ask("gina", PIN).kind == "Access-Reject"


def test_the_helpdesk_does_for_a_name_from_elsewhere_what_it_does_for_an_account(
    site: Site, radiusd: Radiusd
) -> None:
    """It is locked, seen, unlocked, disabled, has another number for a time, and is erased."""
    for _ in range(10):
        assert radiusd.ask("erin", "wrong").kind == "Access-Reject"
    assert radiusd.ask("erin", PIN).kind == "Access-Reject"
    [locked] = json.loads(command(site, "user", "list", "--state", "locked", "--json"))
    assert (locked["name"], locked["elsewhere"], locked["failures"]) == ("erin", True, 10)
    assert "State               locked until" in command(site, "user", "show", "erin")
    command(site, "user", "unlock", "erin")
    command(site, "user", "disable", "erin")
    assert radiusd.ask("erin", PIN).kind == "Access-Reject"
    assert site.events("erin")[-1].detail == {"reason": "disabled"}
    command(site, "user", "enable", "erin")
    told = command(site, "user", "set", "erin", "--phone", "+491707777777", "--until", "friday")
    assert "***77 goes before any other number until" in told
    asked = radiusd.challenge("erin")
    assert "sent to ***77" in asked.message
    assert radiusd.ask("erin", site.code(asked.state), asked.state).kind == "Access-Accept"
    assert "to the helpdesk's number ***77" in command(site, "trace", "erin")
    command(site, "user", "set", "erin", "--until", "now")
    asked = radiusd.challenge("erin")
    assert "sent to ***99" in asked.message
    found = json.loads(command(site, "user", "export-data", "erin"))
    assert {one["phone"] for one in found["messages"]} == {"+491707777777", "+491701234599"}
    figures = json.loads(command(site, "stats", "--json"))
    assert command(site, "user", "erase", "erin", "--yes").startswith("erin: erased (")
    kept = b"".join(path.read_bytes() for path in site.folder.glob("smsotp.db*"))
    assert (b"erin" in kept, b"alice" in kept) == (False, True)
    assert json.loads(command(site, "stats", "--json")) == figures
    assert radiusd.ask("erin", site.code(asked.state), asked.state).kind == "Access-Reject"
