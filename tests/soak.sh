#!/bin/sh
# Everything at once for a long time, on two FreeRADIUS servers with one store:
#
#   sh tests/soak.sh [MINUTES]     30 unless said otherwise
#
# Takes about a quarter of a core.  Everything runs on loopback, in a temporary folder that goes with
# the end.  The tests have a short form.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 python3-venv
make_venv "[test,smpp,postgres]"
exec .venv/bin/python -m tests.measure.soak "$@"
