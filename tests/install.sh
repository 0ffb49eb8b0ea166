#!/bin/sh
# The installation as the documents have it, an upgrade and a removal, on a Debian 12, a Debian 13 and
# a Debian testing that have just been made, up to logins by PAP and Wi-Fi:
#
#   sh tests/install.sh [PYTEST-ARGUMENT...]
#
# The systems are made once, in .cache/install, and unpacked for each test.
set -eu
[ "$(id -u)" -eq 0 ] || exec sudo sh "$0" "$@"
cd "$(dirname "$0")/.."
. tests/setup.sh

place=$PWD/.cache/install
# The first version that was handed out, from which everybody must be able to come.
older=293eec5

need_packages eapoltest mmdebstrap openssl python3-venv
make_venv "[test,smpp,postgres]"
mkdir -p "$place"

# What the documents install by apt-get is in there already: the test itself needs no network.
packages=freeradius,freeradius-python3,freeradius-utils,mount,python3-venv,systemd
for suite in bookworm trixie forky; do
    [ "$(cat "$place/$suite.packages" 2>/dev/null)" = "$packages" ] && continue
    echo "Making a $suite …"
    # What a mirror has of testing may be some weeks old.
    mmdebstrap --quiet --variant=apt --include="$packages" --aptopt='APT::Install-Recommends "0"' \
        --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$place/$suite.tar"
    printf '%s\n' "$packages" >"$place/$suite.packages"
done

# Wheels are fetched outside, for all Pythons.
wanted=$(cat setup.py packaging/constraints.txt)
if [ "$(cat "$place/fetched" 2>/dev/null)" != "$wanted" ]; then
    echo "Fetching Python packages …"
    mkdir -p "$place/wheels"
    for version in 3.11 3.13 3.14; do
        .venv/bin/pip download -q --disable-pip-version-check --only-binary=:all: \
            --python-version "$version" -c packaging/constraints.txt -d "$place/wheels" . "setuptools>=66" wheel
    done
    rm -f "$place"/wheels/radius_smsotp-*
    printf '%s\n' "$wanted" >"$place/fetched"
fi

rm -rf "$place/older"
mkdir "$place/older"
git archive "$older" | tar -x -C "$place/older"

export SMSOTP_INSTALL="$place"
# A network, a host name and processes of its own: what is started ends with it.
exec unshare --mount --net --uts --pid --fork --mount-proc --kill-child sh -euc '
    ip link set lo up
    exec .venv/bin/python -m pytest -p no:cacheprovider -m "" tests/package/test_install.py "$@"
' pytest "$@"
