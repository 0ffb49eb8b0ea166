"""What FreeRADIUS writes and what other users of the machine can see holds no secret of ours."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from radius_smsotp.settings import keyring
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import (
    NAS_IDENTIFIER,
    SECRET,
    vendor,
)
from tests.support.site import PHONE, PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

GATEWAY = "Passwort-am-Gateway"


def debugged(site: Site) -> Radiusd:
    """A FreeRADIUS in debug mode."""
    folder, port = site.make_raddb()
    radiusd = Radiusd(site, folder, port)
    radiusd.options = ["-X"]
    site.daemons.append(radiusd)
    radiusd.start()
    return radiusd


def test_debug_output_shows_no_code_that_nobody_has_typed(make_site: Callable[..., Site]) -> None:
    """And the PIN only where FreeRADIUS shows what came in the packet."""
    site = make_site(
        providers={
            "http": {
                "type": "http",
                "url": "http://127.0.0.1:9/",
                "username": "us",
                "password": GATEWAY,
                "parameter": {"to": "{phone}", "text": "{message}"},
            },
            "demo": {"type": "folder", "path": "outbox"},
        },
    )
    radiusd = debugged(site)
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    radiusd.ask("alice", "wrong-PIN")
    radiusd.ask("alice", PIN + "000000")
    for pair in ((NAS_IDENTIFIER, b"B\xfcro"), vendor(9, 1, b"ssid=\xfc")):
        # An access point whose name is not UTF-8: its attributes are looked through.
        assert radiusd.ask(more=[pair]).kind == "Access-Challenge"
    before = radiusd.log()
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"
    after = radiusd.log()
    # What was looked for is there at all, if FreeRADIUS does not hide it.
    assert "User-Password" in before
    assert code in after or "User-Password = <<< secret >>>" in after
    assert code not in before
    secrets = [GATEWAY, PHONE.lstrip("+"), SECRET, keyring.read(site.folder / "key").secret.hex()]
    for secret in secrets:
        assert secret not in after, after
    for line in after.splitlines():
        if re.search(rf"\b({PIN}|{code})\b|wrong-PIN", line):
            assert "User-Password" in line, line
    # The search at the end of the run would find what this debug output must show.
    radiusd.stop()
    radiusd.log_path.unlink()


def processes() -> list[str]:
    """Every process of this machine, with its arguments, as `ps` shows it to everybody."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_no_other_user_of_the_machine_sees_one(site: Site) -> None:
    """Neither the server's arguments hold one, nor those of a program that sends."""
    script = site.folder / "send.sh"
    script.write_text("#!/bin/sh\ncat >/dev/null\nsleep 2\n")
    script.chmod(0o700)
    environment = {"PHONE": "{phone}", "PASSWORD": GATEWAY}
    own = {"type": "script", "script": "send.sh", "arguments": ["-x"], "environment": environment}
    site.write(providers={"own": own}, delivery={"wait": 0})
    radiusd = site.start()
    radiusd.challenge()
    ours = eventually(lambda: [one for one in processes() if f"{script} -x" in one])
    ours += [one for one in processes() if str(radiusd.folder) in one]
    assert len(ours) >= 2
    for line in ours:
        for secret in (PIN, PHONE[1:], SECRET, GATEWAY):
            assert secret not in line
