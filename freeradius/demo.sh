#!/bin/sh
# One whole login on a real FreeRADIUS, from nothing, on Debian 12 or 13:
#
#   sh freeradius/demo.sh           shows it and ends
#   sh freeradius/demo.sh --keep    leaves it running, for radtest and other clients
#
# Installs FreeRADIUS from Debian and this package into .venv; the system's own FreeRADIUS
# configuration is neither read nor changed.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 freeradius-utils python3-venv
make_venv ""
exec .venv/bin/smsotp demo "$@"
