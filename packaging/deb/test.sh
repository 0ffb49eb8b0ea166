#!/bin/sh
# The package of a suite in a Debian of that suite, under its systemd: installed, logged in with,
# upgraded from a version before, and purged:
#
#   sh packaging/deb/test.sh bookworm [PYTEST-ARGUMENT...]      or trixie, or forky
set -eu
[ "$(id -u)" -eq 0 ] || exec sudo sh "$0" "$@"
cd "$(dirname "$0")/../.."
. tests/setup.sh

suite=${1:?name a suite: bookworm, trixie or forky}
shift
place=$PWD/.cache/deb
# Before there was a package.
older=a74d844d

sh packaging/deb/build.sh "$suite"
deb=$(ls -t dist/"$suite"/*.deb | head -n 1)
if [ ! -e "$place/$suite-older" ]; then
    sh packaging/deb/build.sh "$suite" "$older"
    mkdir "$place/$suite-older"
    mv "$(ls -t dist/"$suite"/*.deb | head -n 1)" "$place/$suite-older"
fi

# What it depends on is there already: the test itself needs no network.
packages=freeradius-utils,logrotate,mount,systemd-sysv,$(dpkg-deb -f "$deb" Depends | sed 's/ *([^)]*)//g; s/:any//g; s/ //g')
if [ "$(cat "$place/$suite-system.packages" 2>/dev/null)" != "$packages" ]; then
    echo "Making a $suite …"
    mmdebstrap --quiet --variant=apt --include="$packages" --aptopt='APT::Install-Recommends "0"' \
        --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$place/$suite-system.tar"
    printf '%s\n' "$packages" >"$place/$suite-system.packages"
fi

export SMSOTP_INSTALL="$place" SMSOTP_SUITE="$suite"
# A network, a host name and processes of its own: what is started ends with it.
exec unshare --mount --net --uts --pid --fork --mount-proc --kill-child sh -euc '
    ip link set lo up
    exec .venv/bin/python -m pytest -p no:cacheprovider -m "" tests/package/test_debian.py "$@"
' pytest "$@"
