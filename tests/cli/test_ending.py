"""How a command that goes on hears that it is to end."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED_ANYWHERE = """
import os, signal, sys
from radius_smsotp.cli.ending import Ending

def interrupt_at(step):
    \"\"\"Whether there was such a line of Python in waiting, at which SIGINT came.\"\"\"
    passed = 0

    def trace(frame, event, _):
        nonlocal passed
        passed += event == "line"
        if event == "line" and passed == step:
            os.kill(os.getpid(), signal.SIGINT)
        return trace

    ending = Ending()
    sys.settrace(trace)
    ended = ending.look() or ending.look()
    sys.settrace(None)
    assert ended == (passed >= step), step
    return ended

step = 1
while interrupt_at(step):
    step += 1
print(step)
"""


def test_a_signal_may_come_at_any_line_of_the_waiting() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_ANYWHERE],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3
