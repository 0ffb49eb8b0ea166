#!/bin/sh
# The same code at four servers at once, for each store:
#
#   sh tests/races.sh [RACES]    2000 unless told; about two minutes
#
# A PostgreSQL server of its own is started in a temporary folder, and ends with it.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 postgresql python3-venv
make_venv "[test,smpp,postgres]"
exec .venv/bin/python -m tests.measure.races "$@"
