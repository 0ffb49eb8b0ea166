"""The command line: ``sh tests/measure/cluster.sh [FAULT…]``."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.measure.cluster.faults import FAULTS, QUICK
from tests.measure.cluster.rounds import Result, made

COLUMNS = (
    "no first step, s",
    "no accept, s",
    "failed",
    "twice here",
    "elsewhere",
    "marks lost",
    "SMS twice",
    "SMS useless",
    "backends",
)

QUICK_RATE = 3.0
"""Logins a second that any machine bears, whatever else it does."""


def main() -> None:
    """Let the faults happen one after the other, each to a cluster of its own."""
    parser = argparse.ArgumentParser("tests/measure/cluster.sh", description="Faults under load.")
    known = f"{', '.join(FAULTS)} [all]"
    parser.add_argument("faults", nargs="*", choices=[[], *FAULTS], help=known, metavar="FAULT")
    parser.add_argument("--rate", type=float, default=10, help="logins a second [10]")
    parser.add_argument("--quick", action="store_true", help="one fault, and few logins")
    options = parser.parse_args()
    # Ends like Ctrl-C: every process and the folder go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    faults = [FAULTS[name] for name in options.faults or FAULTS]
    print(f"{'':50}{''.join(f'{one:>18}' for one in COLUMNS)}", flush=True)
    failed = False
    for fault in [QUICK] if options.quick else faults:
        with made(fault) as one:
            try:
                result = one.run(*((0, QUICK_RATE) if options.quick else (5, options.rate)))
            except BaseException:
                print(one.story(), file=sys.stderr)
                raise
        print(_row(result), flush=True)
        for reason, number in result.failures.most_common():
            print(f"    {number} {reason}", file=sys.stderr, flush=True)
        failed = failed or result.twice_here > 0
    sys.exit(1 if failed else 0)


def _row(result: Result) -> str:
    values = (
        f"{result.without_first:.1f}",
        f"{result.without_accept:.1f}",
        f"{result.failed} of {result.logins}",
        result.twice_here,
        result.twice_elsewhere,
        result.marks_lost,
        result.sms_twice,
        result.sms_useless,
        result.backends,
    )
    return f"{result.name:50}{''.join(f'{one:>18}' for one in values)}"


if __name__ == "__main__":
    main()
