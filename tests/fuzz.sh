#!/bin/sh
# Throws octets at everything that reads what others have written, for minutes or longer:
#
#   sh tests/fuzz.sh                 150,000 cases of each target, more than a million together,
#                                    and 100,000 malformed packets at a FreeRADIUS
#   sh tests/fuzz.sh CASES PACKETS   as many as that
#
# The tests have a short form of both.  Everything runs in temporary folders and on loopback.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 python3-venv
make_venv "[test,smpp,postgres,fuzz]"
.venv/bin/python -m tests.measure.fuzz --cases "${1:-150000}" --seconds 3600
.venv/bin/python -m tests.freeradius.malformed "${2:-100000}"
