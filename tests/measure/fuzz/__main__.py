"""
Throws octets at everything that reads what others have written.

    python -m tests.measure.fuzz [--cases N] [--seconds S] [TARGET…]

With atheris, which looks for octets that reach new code, each target runs in a process of its
own, for so many cases or so many seconds, whichever is over first.  With --plain hypothesis
chooses them, which needs no more than the tests do.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

TARGETS = {
    "hook": "tests.measure.fuzz.hook:calls",
    "eap": "tests.measure.fuzz.pure:eap_packets",
    "attributes": "tests.measure.fuzz.pure:attributes",
    "settings": "tests.measure.fuzz.pure:settings",
    "key-file": "tests.measure.fuzz.pure:key_file",
    "gateway-answers": "tests.measure.fuzz.pure:gateway_answers",
    "modem-lines": "tests.measure.fuzz.pure:modem_lines",
    "reports": "tests.measure.fuzz.pure:reports",
    "texts": "tests.measure.fuzz.pure:texts",
}
"""Name to module and function: it takes octets, and raises if something is wrong."""

MOST_OCTETS = 400


def load(name: str) -> Callable[[bytes], None]:
    """A target by its name."""
    module, _, function = TARGETS[name].partition(":")
    target: Callable[[bytes], None] = getattr(importlib.import_module(module), function)
    return target


def plainly(name: str, cases: int) -> int:
    """Let hypothesis choose.  Returns how many cases there were."""
    target, done = load(name), 0

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(st.binary(max_size=MOST_OCTETS))
    def run(octets: bytes) -> None:
        nonlocal done
        done += 1
        target(octets)

    run()
    return done


def guided(name: str, cases: int, seconds: int) -> int:
    """Let atheris choose, in a process of its own.  Returns how many cases there were."""
    program = (
        "import sys, atheris\n"
        "with atheris.instrument_imports(include=['radius_smsotp']):\n"
        "    from tests.measure.fuzz.__main__ import load\n"
        f"    target = load({name!r})\n"
        "    target(b'')\n"
        "atheris.Setup(sys.argv, target)\n"
        "atheris.Fuzz()\n"
    )
    with tempfile.TemporaryDirectory() as corpus:
        # libFuzzer's own options.
        limits = [f"-runs={cases}", f"-max_total_time={seconds}", f"-max_len={MOST_OCTETS}"]
        options = [*limits, "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
        command = [sys.executable, "-c", program, *options, f"-artifact_prefix={corpus}/", corpus]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    told = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode or told is None:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-8000:])
        raise SystemExit(f"{name}: a finding")
    return int(told[1])


def main() -> None:
    """Run the targets one after the other, and say how many cases each has stood."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET")
    parser.add_argument("--cases", type=int, default=150_000, help="of each target, at most")
    parser.add_argument("--seconds", type=int, default=300, help="for each target, at most")
    parser.add_argument("--plain", action="store_true", help="hypothesis instead of atheris")
    asked = parser.parse_args()
    whole = 0
    for name in asked.targets:
        began = time.monotonic()
        done = (
            plainly(name, asked.cases) if asked.plain else guided(name, asked.cases, asked.seconds)
        )
        whole += done
        print(f"{name:<16} {done:>9,} cases  {time.monotonic() - began:>6.0f} s", flush=True)
    print(f"{'together':<16} {whole:>9,} cases, no finding")


if __name__ == "__main__":
    main()
