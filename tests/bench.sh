#!/bin/sh
# How fast it is, on this machine, against the same FreeRADIUS with less in it:
#
#   sh tests/bench.sh            about a quarter of an hour
#   sh tests/bench.sh --quick    seconds: shows that it works, not how fast it is
#   sh tests/bench.sh disks      one part of it, or several; --help names them
#   sh tests/bench.sh privacyidea    the same two steps of privacyIDEA beside ours; it installs that
#                                into .cache first, some hundred packages
#   sh tests/bench.sh --write    puts ten rows into docs/explanation/speed.rst, all into figures.txt
#
# Everything runs on loopback, in a temporary folder that goes with the end.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 postgresql python3-venv
make_venv "[test,postgres]"
exec .venv/bin/python -m tests.measure.bench "$@"
