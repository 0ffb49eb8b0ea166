#!/bin/sh
# How fast it is, on this machine, against the same FreeRADIUS with less in it:
#
#   sh tests/bench.sh            about four minutes
#   sh tests/bench.sh --quick    seconds: shows that it works, not how fast it is
#   sh tests/bench.sh --rst      the table as README.rst has it
#
# Everything runs on loopback, in a temporary folder that goes with the end.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 python3-venv
make_venv ""
exec .venv/bin/python -m tests.bench "$@"
