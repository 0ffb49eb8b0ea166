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

from tests.support.radiusd import Radiusd, call, lists


def main() -> None:
    """Serve until the input ends."""
    hooks = Radiusd(sys.argv[1]).load()
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
        given = lists(request, [("SMSOTP-Step", known)])
        time.sleep(max(0.0, float(when) - time.monotonic()))
        begun = time.monotonic()
        answered = call(hook, given)
        ended = time.monotonic()
        print(answered.code, answered.reply.get("State", "-"), begun, ended, flush=True)
    hooks.detach(None)


if __name__ == "__main__":
    main()
