"""What would happen to one user: a FreeRADIUS of its own says so by the site's words."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest

from radius_smsotp.cli.check import rehearsal
from radius_smsotp.cli.check.command import check
from radius_smsotp.errors import SmsotpError
from tests.freeradius import stock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd

USERS = """\
alice@example.org	SMSOTP-Phone := "+49 170 1234599", Cleartext-Password := "not-my-password"
	Filter-Id := "office"

ext	SMSOTP-Phone := "ext. 4711", Cleartext-Password := "not-my-password"

late	SMSOTP-Phone := "+49 170 1234598", Auth-Type := Reject
"""

POST_AUTH = """
		line
		if (&User-Name =~ /@example.org$/) {
			update reply {
				&Class := "OU=office"
				&Tunnel-Password := "hush"
			}
		}
"""

LINE = 'linelog line {{\n\tfilename = "{}"\n\tformat = "let in: %{{User-Name}}"\n}}\n'


def edited(raddb: Path) -> None:
    """A users file, and what stands in post-auth; another client, and a port without a server."""
    (raddb / "mods-enabled" / "files").write_text(
        f'files {{\n\tfilename = "{raddb}/people"\n}}\n', encoding="utf-8"
    )
    (raddb / "people").write_text(USERS, encoding="utf-8")
    (raddb / "mods-enabled" / "line").write_text(LINE.format(raddb / "line"), encoding="utf-8")
    stock.replace(
        raddb / "policy.d" / "smsotp_first_factor",
        r"^smsotp_account \{$",
        "smsotp_account {\n\tfiles",
    )
    stock.replace(
        raddb / "sites-available" / "smsotp", r"^\t\tsmsotp_admit$", f"\t\tsmsotp_admit{POST_AUTH}"
    )
    with (raddb / "clients.conf").open("a", encoding="utf-8") as clients:
        clients.write(
            "client office {\n\tipaddr = 192.0.2.0/24\n\tsecret = not-my-secret\n"
            "\tshortname = vpn\n\tnas_type = other\n\tvirtual_server = smsotp\n}\n"
        )


@pytest.fixture
def radiusd(share: Callable[..., Radiusd]) -> Radiusd:
    """One that is edited so."""
    return share(edited, lockout={"failures": 3, "minutes": 15}, limits={"per_account_hour": 2})


def told(radiusd: Radiusd, name: str, client: str = "vpn", **more: Any) -> dict[str, Any]:
    """What there is to say of somebody."""
    return rehearsal.tell(radiusd.site.settings_path, radiusd.folder, None, name, client, **more)


@pytest.mark.once
def test_an_account_of_ours(radiusd: Radiusd) -> None:
    """Nothing is sent, written or counted; what limits it is told."""
    site = radiusd.site
    said = told(radiusd, "Alice")
    assert (said["outcome"], said["number"], said["providers"]) == ("open", "***67", ["demo"])
    assert (said["account"], said["here"], said["pin"]) == ("alice", True, True)
    assert said["first_factor"] == ["pap"]
    assert said["client"]["address"] == "192.0.2.1"
    assert site.events("alice") == []
    assert radiusd.ask("alice", "wrong").kind == "Access-Reject"
    assert told(radiusd, "alice")["failures"] == 1
    challenge = radiusd.challenge()
    assert told(radiusd, "alice", "local")["outcome"] == "repeat"
    answer = site.code(challenge.state)
    assert radiusd.ask("alice", answer, challenge.state).kind == "Access-Accept"
    for _ in range(3):
        radiusd.ask("alice", "wrong")
    said = told(radiusd, "alice")
    assert (said["outcome"], said["reason"], said["failures"]) == ("refused", "locked", 3)
    assert said["sent"]["per_account_hour"] == [1, 2]
    assert "smsotp user unlock alice" in said["remedy"]
    assert len(site.messages()) == 1


def test_what_stands_in_the_raddb(radiusd: Radiusd) -> None:
    """Its modules and conditions, and what they say of the Access-Accept; what writes does not."""
    said = told(radiusd, "alice@example.org")
    assert (said["outcome"], said["number"], said["source"]) == ("open", "***99", "freeradius")
    assert said["reply"] == {
        "Filter-Id": ['"office"'],
        "Class": [f"0x{b'OU=office'.hex()}"],
        "Tunnel-Password": ["(hidden)"],
    }
    steps = [(one["kind"], one["what"], one["meaning"]) for one in said["steps"]]
    assert steps == [
        ("module", "files", "knows the account"),
        ("hidden", "pap", "by comparing the password with what FreeRADIUS knows"),
        ("hidden", "line", "would be called"),
        ("condition", "(&User-Name =~ /@example.org$/)", "met"),
    ]
    written = radiusd.folder / "line"
    assert not written.exists() or "example.org" not in written.read_text("utf-8")
    assert radiusd.site.kinds("alice@example.org") == []
    reasons = {"ext": "bad-phone", "late": "refused", "nobody": "unknown-account"}
    for name, reason in reasons.items():
        said = told(radiusd, name)
        assert (said["outcome"], said["reason"], said["reply"]) == ("refused", reason, {})
    radiusd.site.add("bare", text=None)
    assert told(radiusd, "bare")["reason"] == "no-pin"


def test_a_device_in_a_tunnel(radiusd: Radiusd) -> None:
    """It gets to another virtual server, with other words."""
    said = told(radiusd, "alice@example.org", wifi=True)
    assert (said["outcome"], said["client"]["server"]) == ("open", "smsotp-gtc")
    assert said["reply"] == {"Filter-Id": ['"office"']}


def command(radiusd: Radiusd, *words: str) -> subprocess.CompletedProcess[str]:
    """What ``smsotp check`` prints."""
    program = [sys.executable, "-m", "radius_smsotp", "--config", radiusd.site.settings_path]
    asked = [*program, "check", "--user", "root", "--raddb", radiusd.folder, *words]
    return subprocess.run(asked, capture_output=True, text=True, check=False)


@pytest.mark.once
def test_it_is_told_to_people(radiusd: Radiusd) -> None:
    done = command(radiusd, "--as", "alice@example.org@192.0.2.77")
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "Account    alice@example.org",
        "Condition  (&User-Name =~ /@example.org$/) (post-auth): met",
        'Reply      Filter-Id = "office"',
        "With the right password a code of 6 digits is sent to ***99, and lets in.",
    ):
        assert line in done.stdout.splitlines()
    done = command(radiusd, "--as", "nobody@vpn")
    assert done.returncode == 1
    assert "Refused, whatever the password: there is no such account." in done.stdout


def test_what_cannot_be_found_out_is_said(radiusd: Radiusd) -> None:
    with pytest.raises(click.BadParameter, match=r"no client 'vpm' in .*; there are: local, vpn"):
        told(radiusd, "alice", "vpm")
    with pytest.raises(click.BadParameter, match=r"no client '203\.0\.113\.1'"):
        told(radiusd, "alice", "203.0.113.1")
    with pytest.raises(click.BadParameter, match="no virtual server listens at 1, but at"):
        told(radiusd, "alice", "local", port=1)
    site = radiusd.folder / "sites-available" / "smsotp"
    text = site.read_text("utf-8")
    try:
        site.write_text(text.replace("\t\tline\n", "\t\tline.post-auth\n"), encoding="utf-8")
        with pytest.raises(SmsotpError, match=r"line\.post-auth in post-auth would"):
            told(radiusd, "alice")
        site.write_text(text.replace("\t\tline\n", "\t\tlin\n"), encoding="utf-8")
        with pytest.raises(SmsotpError, match=r'(?s)does not start.*Failed to find "lin" as a'):
            told(radiusd, "alice")
    finally:
        site.write_text(text, encoding="utf-8")
    for wrong in ("alice", "alice@", "@vpn"):
        with pytest.raises(click.BadParameter, match=f"'{wrong}' is not NAME@CLIENT"):
            rehearsal.option(click.Context(check), check.params[0], wrong)
