#!/bin/sh
# kill -9 of radiusd, of `smsotp courier`, of a command and of PostgreSQL, at random moments under load:
#
#   sh tests/crash.sh [ROUNDS] [--store postgres]     200 rounds on SQLite unless told
#
# Takes about a quarter of an hour, longer on a busy machine.
#
# Everything runs on loopback, in a temporary folder that goes with the end.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 postgresql python3-venv
make_venv "[test,smpp,postgres]"
exec .venv/bin/python -m tests.measure.crash "$@"
