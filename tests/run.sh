#!/bin/sh
# All checks and all tests, from nothing, on Debian 12 or 13:
#
#   sh tests/run.sh                    everything
#   sh tests/run.sh tests/model -k pin  arguments go to pytest; no lint, no Debian 13
#
# The system's own FreeRADIUS configuration is neither used nor changed.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages freeradius freeradius-ldap freeradius-python3 freeradius-utils python3-venv \
    mmdebstrap eapoltest faketime iproute2 openssl postgresql radsecproxy slapd strace \
    chromium jq prometheus systemd
# Clients of VPN concentrators and of PAM, for tests/peers.
need_packages libpam-radius-auth ocserv openconnect openvpn openvpn-auth-radius pamtester
# node-smpp, an SMSC of another make.
need_command npm npm
make_venv "[test,smpp,postgres]"

if [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi

echo "== lint"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy

# Debian 13 has a chroot of its own: its tests run beside those here, once it is made; then those of
# the providers, which mostly wait.
beside() {
    trap 'kill "$!" 2>/dev/null; exit 143' TERM
    failed=0
    # In the background each, so that the signal does not wait for their end.
    sh tests/freeradius/trixie.sh &
    wait "$!" || failed=$?
    .venv/bin/python -m pytest tests/providers &
    wait "$!" || failed=$?
    exit "$failed"
}

echo "== Debian 13"
mkdir -p .cache
sh tests/freeradius/trixie.sh --version
beside >.cache/beside.log 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || :' EXIT
status=0

echo "== tests on Debian $(cut -d. -f1 /etc/debian_version), $(freeradius -v | sed -n 's/.*\(FreeRADIUS Version [0-9.]*\).*/\1/p')"
.venv/bin/python -m pytest tests --ignore=tests/providers || status=$?

echo "== radius tests on Debian 13, and the providers"
wait "$beside" || status=$?
cat .cache/beside.log
exit "$status"
