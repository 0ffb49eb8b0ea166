"""What stands against a login: lock-out, limits, state of the account; and what it looks like."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.radius import SECRET
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAILED = ("Access-Reject", "Login failed.", None)


def test_wrong_pins_lock_the_account_also_over_a_restart(make_site: Callable[..., Site]) -> None:
    site = make_site(lockout={"failures": 3, "minutes": 15})
    radiusd = site.start()
    for _ in range(3):
        assert radiusd.ask("alice", "wrong").kind == "Access-Reject"
    assert site.kinds("alice") == ["pin-wrong", "pin-wrong", "pin-wrong", "account-locked"]
    radiusd.stop()
    radiusd.start()
    reply = radiusd.ask("alice", PIN)
    assert (reply.kind, reply.message, reply.state) == FAILED
    assert site.events("alice")[-1].detail == {"reason": "locked"}
    with site.store.write() as tx:
        tx.clear_lockout("alice")
    assert radiusd.ask("alice", PIN).kind == "Access-Challenge"


def test_all_that_stands_against_a_login_looks_like_a_wrong_pin(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(limits={"countries": ["+49"], "per_account_hour": 1, "cooldown": 0})
    site.add("disabled", enabled=False)
    site.add("numberless", phone=None)
    site.add("abroad", phone="+12025550123")
    site.add("thrifty", phone="+491701111111")
    radiusd = site.start()
    assert radiusd.challenge("thrifty").state is not None
    replies = {
        name: radiusd.ask(name, password)
        for name, password in [
            ("alice", "wrong"),
            ("nobody", PIN),
            ("disabled", PIN),
            ("numberless", PIN),
            ("abroad", PIN),
            ("thrifty", PIN),
        ]
    }
    for name, reply in replies.items():
        assert (reply.kind, reply.message, reply.state) == FAILED, name
    reasons = {name: site.events(name)[-1].detail.get("reason") for name in replies}
    assert reasons == {
        "alice": None,
        "nobody": "unknown-account",
        "disabled": "disabled",
        "numberless": "no-phone",
        "abroad": "country",
        "thrifty": "per_account_hour",
    }
    assert len(site.messages()) == 1


def test_a_first_factor_that_is_down_is_not_counted_against_the_user(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(lockout={"failures": 1, "minutes": 15})

    def edit(raddb: Path) -> None:
        path = raddb / "policy.d" / "smsotp_first_factor"
        path.write_text(path.read_text().replace("{\n\tpap\n}", "{\n\tfail\n}"))

    radiusd = site.start(edit=edit)
    reply = radiusd.ask("alice", PIN)
    assert (reply.kind, reply.message) == (
        "Access-Reject",
        "Login is not possible at the moment. Please try again later.",
    )
    assert site.kinds("alice") == ["first-factor-down"]


@pytest.mark.parametrize("code", ["ok", "reject", "notfound", "userlock", "handled"])
def test_whatever_a_module_says_of_who_may_not_log_in_it_is_refused(
    make_site: Callable[..., Site], code: str
) -> None:
    """It is asked about nobody; the audit trail names them."""
    site = make_site(lockout={"failures": 1, "minutes": 15})
    asked = site.folder / "asked"

    def edit(raddb: Path) -> None:
        modules = raddb / "mods-enabled"
        (modules / "says").write_text(f"always says {{\n\trcode = {code}\n}}\n")
        names = '"%{%{Stripped-User-Name}:-%{User-Name}}"'
        (modules / "asked").write_text(
            f"linelog asked {{\n\tfilename = {asked}\n\tformat = {names}\n}}\n"
        )
        path = raddb / "policy.d" / "smsotp_first_factor"
        says = '{\n\tasked\n\tif (&User-Password == "wrong") {\n\t\treject\n\t}\n\tsays\n}'
        path.write_text(path.read_text().replace("{\n\tpap\n}", says))
        # As a realm or a policy would.
        path = raddb / "sites-available" / "smsotp"
        strip = 'update request {\n\t&Stripped-User-Name := "%{User-Name}"\n}\nsmsotp_authorize\n'
        path.write_text(path.read_text().replace("smsotp_authorize\n", strip))

    radiusd = site.start(edit=edit)
    radiusd.ask("alice", "wrong")
    for name, reason in (("alice", "locked"), ("nobody", "unknown-account")):
        reply = radiusd.ask(name, PIN)
        assert (reply.kind, reply.message, reply.state) == FAILED
        event = site.events(name)[-1]
        assert (event.kind, event.detail) == ("login-refused", {"reason": reason})
    first, *others = asked.read_text().split()
    assert first == "alice"
    assert len({*others}) == 2
    assert all(re.fullmatch("0x[0-9a-f]{32}", one) for one in others)


def test_an_account_from_elsewhere_needs_none_of_ours(make_site: Callable[..., Site]) -> None:
    site = make_site(country="DE", lockout={"failures": 2, "minutes": 15})

    def edit(raddb: Path) -> None:
        path = raddb / "sites-available" / "smsotp"
        control = (
            'if (&User-Name == "erin") {\n\t\t\tupdate control {\n'
            '\t\t\t\t&SMSOTP-Phone := "0170 1234599"\n'
            '\t\t\t\t&SMSOTP-Text := "Code {code}, {name}"\n'
            '\t\t\t\t&Cleartext-Password := "secret"\n\t\t\t}\n\t\t}\n\t\tsmsotp_authorize'
        )
        path.write_text(path.read_text().replace("smsotp_authorize", control))

    radiusd = site.start(edit=edit)
    challenge = radiusd.challenge("erin", "secret")
    assert challenge.message == "Enter the 6-digit code sent to ***99: "
    code = site.code(challenge.state)
    [message] = site.messages()
    assert (message["phone"], message["text"]) == ("+491701234599", f"Code {code}, erin")
    assert radiusd.ask("erin", code, challenge.state).kind == "Access-Accept"
    for _ in range(2):
        radiusd.ask("erin", "wrong")
    assert radiusd.ask("erin", "secret").kind == "Access-Reject"
    assert site.events("erin")[-1].detail == {"reason": "locked"}


def test_a_client_with_another_secret_gets_no_answer(radiusd: Radiusd) -> None:
    # One packet, and longer than FreeRADIUS holds a rejection back.
    command = ["radclient", "-x", "-r", "1", "-t", "3", f"127.0.0.1:{radiusd.port}", "auth"]
    told = subprocess.run(
        [*command, SECRET + "x"],
        input=f'User-Name = "alice", User-Password = "{PIN}"',
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Sent Access-Request" in told.stdout
    assert "Access-Accept" not in told.stdout
    assert "Access-Challenge" not in told.stdout
    assert "Access-Reject" not in told.stdout
