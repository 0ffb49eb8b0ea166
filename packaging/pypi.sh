#!/bin/sh
# What goes to PyPI, into dist, as "python -m build" makes it, checked by twine; then installed from
# a folder of wheels without network and without this checkout, up to a login on a real FreeRADIUS:
#
#   sh packaging/pypi.sh
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-python3 iproute2 openssl python3-venv
place=$PWD/.cache/pypi
/usr/bin/python3 -m venv "$place"
"$place/bin/pip" install -q --disable-pip-version-check build twine
rm -rf "$place/wheels" "$place/alone" dist/radius_smsotp-* build
"$place/bin/python" -m build --outdir dist . >"$place/build.log" || {
    tail -n 40 "$place/build.log"
    exit 1
}
"$place/bin/twine" check --strict dist/radius_smsotp-*

"$place/bin/pip" wheel -q --disable-pip-version-check -w "$place/wheels" \
    -c packaging/constraints.txt "$(echo dist/radius_smsotp-*.whl)[postgres,smpp]"
/usr/bin/python3 -m venv "$place/alone"
cd "$place/alone"
as_root unshare --net sh -euc '
    ip link set lo up
    bin/pip install -q --disable-pip-version-check --no-index --find-links ../wheels "radius-smsotp[postgres,smpp]"
    exec bin/smsotp demo
'
