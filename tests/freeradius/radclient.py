"""FreeRADIUS's own client, for requests with attributes as access points send them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.freeradius.site import PIN, SECRET

if TYPE_CHECKING:
    from tests.freeradius.site import Radiusd

ACCESS_POINT = "02-00-00-00-00-FF"


@dataclass(frozen=True, slots=True)
class Answer:
    """What radclient printed: "Access-Accept", the message, and `State` as it prints it."""

    kind: str
    message: str
    state: str


def ask(
    radiusd: Radiusd,
    password: str = PIN,
    *,
    user: str = "alice",
    station: str = "",
    called: str = "",
    state: str = "",
    more: str = "",
) -> Answer:
    """One Access-Request, with `more` as radclient reads it."""
    attributes = {
        "User-Name": f'"{user}"',
        "User-Password": f'"{password}"',
        "Calling-Station-Id": f'"{station}"' if station else "",
        "Called-Station-Id": f'"{called}"' if called else "",
        "State": state,
    }
    done = subprocess.run(
        ["radclient", "-x", "-t", "20", "-r", "1", f"127.0.0.1:{radiusd.port}", "auth", SECRET],
        input=", ".join(f"{name} = {value}" for name, value in attributes.items() if value) + more,
        capture_output=True,
        text=True,
        check=False,
    )
    _, found, reply = done.stdout.partition("Received ")
    assert found, f"{done}\n{radiusd.log()[-3000:]}"
    message = re.search(r'Reply-Message = "(.*)"', reply)
    given = re.search(r"State = (0x[0-9a-f]+)", reply)
    return Answer(reply.split()[0], message[1] if message else "", given[1] if given else "")
