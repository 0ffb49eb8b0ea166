"""The command line: ``sh tests/crash.sh [ROUNDS] [--store postgres]``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from tests.measure.crash import stores
from tests.measure.crash.rounds import BrokenPromiseError, Crashes


def main() -> None:
    """Run the rounds, and tell what came of them."""
    parser = argparse.ArgumentParser("tests/crash.sh", description="kill -9 at random moments.")
    parser.add_argument("rounds", type=int, nargs="?", default=200, help="[200]")
    parser.add_argument("--store", choices=stores.KINDS, default="sqlite", help="[sqlite]")
    parser.add_argument("--seed", type=int, default=1, help="of moments and guesses [1]")
    options = parser.parse_args()
    # Ends like Ctrl-C: every process and the folder go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    broken = 0
    with (
        tempfile.TemporaryDirectory(prefix="smsotp-crash-") as folder,
        contextlib.closing(stores.KINDS[options.store]()) as store,
    ):
        crashes = Crashes(Path(folder), store, options.seed)
        try:
            for number in range(options.rounds):
                try:
                    crashes.run(store.kinds[number % len(store.kinds)])
                except BrokenPromiseError as error:
                    broken += 1
                    print(f"round {number}: {error}", flush=True)
                if (number + 1) % 10 == 0:
                    print(f"{number + 1} of {options.rounds} …", file=sys.stderr, flush=True)
            crashes.finish()
        finally:
            crashes.close()
    for name, count in crashes.counts.items():
        print(f"{count:>7}  {name}")
    print(f"{broken:>7}  broken promises")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
