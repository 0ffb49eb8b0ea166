"""
One server of a race: a process with the hooks of its own, called as rlm_python3 calls them.

Reads a request a line, ``STEP WHEN USER PASSWORD STATE``, and at `WHEN` (seconds of the monotonic
clock, which all processes of a machine share) hands it to the hook; writes its outcome a line.
STEP is what the policy sets, ``code`` or ``pin``; or else ``authorize``, or ``wrong-pin``, when
FreeRADIUS has found so.
"""

from __future__ import annotations

import sys
import time
from types import ModuleType
from typing import Any

LEVELS = {"L_INFO": 3, "L_WARN": 4, "L_ERR": 5}
CODES = ("REJECT", "FAIL", "OK", "HANDLED", "INVALID", "USERLOCK", "NOTFOUND", "NOOP", "UPDATED")


def stand_in() -> ModuleType:
    """The module that rlm_python3 provides inside FreeRADIUS."""
    module = ModuleType("radiusd")
    for name, value in LEVELS.items():
        setattr(module, name, value)
    for number, name in enumerate(CODES):
        setattr(module, f"RLM_MODULE_{name}", number)
    module.radlog = lambda _, text: print(text, file=sys.stderr)  # type: ignore[attr-defined]
    module.config = {"settings": sys.argv[1]}  # type: ignore[attr-defined]
    return module


def main() -> None:
    """Serve until the input ends."""
    sys.modules["radiusd"] = stand_in()
    from radius_smsotp import hooks

    assert hooks.instantiate(None) == 0
    print("ready", flush=True)
    for line in sys.stdin:
        step, when, user, password, state = line.split()
        request = [("User-Name", user), ("User-Password", password), ("SMSOTP-Client", "vpn")]
        if state != "-":
            request.append(("State", f"0x{state.encode().hex()}"))
        hook = {"authorize": hooks.authorize, "wrong-pin": hooks.post_auth}.get(
            step, hooks.authenticate
        )
        known = step.removeprefix("wrong-") if hook is not hooks.authorize else ""
        lists: dict[str, Any] = {"request": tuple(request), "config": (("SMSOTP-Step", known),)}
        time.sleep(max(0.0, float(when) - time.monotonic()))
        begun = time.monotonic()
        code, updates = hook(lists)
        ended = time.monotonic()
        found = [value for name, _, value in updates.get("reply", ()) if name == "State"]
        print(CODES[code], *(found or ["-"]), begun, ended, flush=True)
    hooks.detach(None)


if __name__ == "__main__":
    main()
