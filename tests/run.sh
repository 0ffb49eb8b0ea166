#!/bin/sh
# All checks and all tests, from nothing, as root on Debian 12 or 13:
#
#   sh tests/run.sh                     everything, in about a quarter of an hour
#   sh tests/run.sh quick               what needs no server and no patience, in one or two
#   sh tests/run.sh tests/model -k pin  arguments go to pytest; no lint, no Debian 13
#
# The system's own FreeRADIUS configuration is neither used nor changed.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

# Hundreds of processes import the same modules.
unset PYTHONDONTWRITEBYTECODE
pytest=".venv/bin/python -m pytest"
quick="not server and not slow and not container and not install"
status=0
lanes=

# Three lanes at once for each core, of which two do not wait, and the others take turns: the more of them share a core,
# the less a test's limits of time say.
mkdir -p .cache
rm -f .cache/turns
mkfifo .cache/turns
exec 8<>.cache/turns
rm .cache/turns
for _ in $(seq $((3 * $(nproc)))); do echo >&8; done

# lane NAME COMMAND...: run commands one after the other, beside other lanes.  They begin in the order in which they
# stand here.
lane() {
    name=$1
    shift
    read -r _ <&8
    (
        trap 'kill -INT "$!" 2>/dev/null; wait "$!"; exit 143' TERM
        failed=0
        for command in "$@"; do
            # In the background, so that the signal does not wait for its end.
            sh -c "exec $command" 8<&- &
            wait "$!" || failed=$?
        done
        echo >&8
        exit "$failed"
    ) >".cache/$name.log" 2>&1 &
    lanes="$lanes $name=$!"
    trap 'kill $(echo "$lanes" | sed "s/[a-z0-9]*=//g") 2>/dev/null || :' EXIT
    # A shell that a signal ends does not come to the line above.
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Wait for all lanes, and show what each has to say.
all_lanes() {
    for one in $lanes; do
        result=0
        wait "${one#*=}" || result=$?
        [ "$result" -eq 0 ] || status=$result
        echo "== ${one%=*}"
        cat ".cache/${one%=*}.log"
    done
    lanes=
}

if [ "${1:-}" = quick ]; then
    need_packages openssl python3-venv tzdata
    make_venv "[test,smpp,postgres]"
    # The providers mostly wait: so there are five for two cores.
    lane modem "$pytest -m '$quick' tests/providers/modem --ignore=tests/providers/modem/test_at.py"
    lane modem2 "$pytest -m '$quick' tests/providers/modem/test_at.py"
    lane providers "$pytest -m '$quick' tests/providers --ignore=tests/providers/modem"
    lane cli "$pytest -m '$quick' tests/cli"
    lane rest "$pytest -m '$quick' tests --ignore=tests/providers --ignore=tests/cli \
        --ignore=tests/freeradius --ignore=tests/peers --ignore=tests/measure --ignore=tests/package"
    all_lanes
    exit "$status"
fi

need_packages etcd-server freeradius freeradius-ldap freeradius-mysql freeradius-python3 freeradius-utils \
    mmdebstrap eapoltest faketime gpg haproxy iproute2 mariadb-server openssl patroni pgbouncer postgresql \
    python3-venv radsecproxy slapd strace samba samba-ad-provision winbind chromium jq prometheus systemd tzdata
# Gateways and clients, for tests/peers.
need_packages charon-systemd hostapd kannel libcharon-extauth-plugins libcharon-extra-plugins \
    libpam-radius-auth ocserv openconnect openssh-server openvpn openvpn-auth-radius pamtester \
    squid strongswan-swanctl sudo wpasupplicant
# Ansible, without its 260 MB of modules for others.
need_bare ansible-core python3-apt
# What reads the spec file and compiles the SELinux module, for tests/package.
need_packages checkpolicy rpm semodule-utils
# NetworkManager, which would take over this machine, what it needs, and libnm, as Python reads it.
need_packages dbus-daemon gir1.2-nm-1.0 libaudit1 libbluetooth3 libcurl3-gnutls libjansson4 libmm-glib0 \
    libndp0 libnewt0.52 libnm0 libpsl5 libteamdctl0 python3-gi
need_unpacked network-manager
# node-smpp, an SMSC of another make.
need_command npm npm
# Meanwhile, on another core.
[ $# -gt 0 ] || lane systems "sh tests/freeradius/trixie.sh --make" \
    "env SUITE=forky sh tests/freeradius/trixie.sh --make"
make_venv "[test,smpp,postgres]"
.venv/bin/python -m compileall -q radius_smsotp

if [ $# -gt 0 ]; then
    exec $pytest "$@" 8<&-
fi

# The long ones first: the last ones should end together.
# Debian 13 runs what FreeRADIUS has a say in, which are neither these files nor single tests with the
# mark `once`; `sh tests/freeradius/trixie.sh` runs all of it.  The SMSC of test_busy and test_smpp needs
# Node.js, which is not in there.
elsewhere="bind busy certificates clock devices emergency enumeration language limits malformed noise
    one_password pins providers retransmission smpp store_faults stored_passwords timing trail"
# ours: the files of tests that Debian 13 runs.
ours() {
    for path in tests/freeradius/test_*.py; do
        name=${path#*test_}
        echo "$elsewhere" | grep -qw "${name%.py}" || echo "$path"
    done
}
lane debian13 "sh tests/freeradius/trixie.sh -m 'not once' $(ours | xargs)"
lane freeradius3 "$pytest tests/freeradius/test_[n-z]*.py"
lane rest "$pytest tests --ignore=tests/cli --ignore=tests/documents --ignore=tests/freeradius \
    --ignore=tests/measure --ignore=tests/package --ignore=tests/peers --ignore=tests/providers"
lane cli2 "$pytest tests/cli/check tests/cli/statistics tests/cli/user"
lane freeradius2 "$pytest tests/freeradius/test_[d-m]*.py"
lane measure "$pytest tests/measure"
lane peers "$pytest tests/peers tests/providers"
lane commands "$pytest tests/documents/test_commands.py"
lane cli "$pytest tests/cli --ignore=tests/cli/check --ignore=tests/cli/statistics --ignore=tests/cli/user"
lane freeradius "$pytest tests/freeradius/test_[a-c]*.py"
lane documents "$pytest tests/documents --ignore=tests/documents/test_commands.py"
lane package "$pytest tests/package"
# Debian testing: one whole login, secrets, and what `smsotp check` says of its FreeRADIUS.
lane testing "env SUITE=forky sh tests/freeradius/trixie.sh"
lane lint ".venv/bin/ruff check ." ".venv/bin/ruff format --check ." .venv/bin/mypy
all_lanes
exit "$status"
