"""
A long time of everything at once, on two FreeRADIUS servers with one store.

    python -m tests.measure.soak [MINUTES]      30 unless said otherwise

Users log in, mistype, ask for another SMS, repeat themselves; strangers guess; one of the gateways
refuses, hangs or breaks off, by turns; settings are read again, the second server is restarted,
and what is old is pruned.  The first server lives from the beginning to the end: its memory,
threads and open files must not grow, nor the store.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.measure.soak.life import Life

MINUTES = 30.0


def main() -> None:
    """Run it, and print what it was like."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with tempfile.TemporaryDirectory(prefix="smsotp-soak-") as name, Life(Path(name)) as life:
        life.pass_time(minutes * 60, lambda line: print(line, flush=True))
        print()
        for line in life.summary():
            print(line)
        faults = life.faults()
    for fault in faults:
        print(f"FAULT: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
