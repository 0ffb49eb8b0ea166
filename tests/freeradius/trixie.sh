#!/bin/sh
# tests/freeradius on Debian 13 (FreeRADIUS 3.2.7, Python 3.13), in a chroot that is kept in .cache.
#
#   sh tests/freeradius/trixie.sh [PYTEST-ARGUMENT...]
#   sh tests/freeradius/trixie.sh --run tests.freeradius.malformed 100000     a long form there
set -eu
cd "$(dirname "$0")/../.."
top=$PWD
root=$top/.cache/trixie
# The SMSC of two modules needs Node.js, which is not in there.
[ $# -gt 0 ] || set -- tests/freeradius --ignore=tests/freeradius/test_smpp.py \
    --ignore=tests/freeradius/test_busy.py
case $1 in
    --run) shift ;;
    *) set -- pytest -p no:cacheprovider "$@" ;;
esac

# One makes it, however many begin at once.
mkdir -p "$top/.cache"
exec 9>"$root.lock"
flock 9
packages=eapoltest,faketime,freeradius,freeradius-ldap,freeradius-mysql,freeradius-python3,freeradius-utils
packages=$packages,haproxy,iproute2,mariadb-server,mount,openssl,postgresql,python3-venv,radsecproxy
packages=$packages,samba-ad-dc,samba-ad-provision,slapd,strace,winbind
if [ "$(cat "$root/complete" 2>/dev/null)" != "$packages" ]; then
    echo "Making a Debian 13 …"
    rm -rf "$root"
    mmdebstrap --quiet --variant=apt --include="$packages" trixie "$root"
    printf '%s\n' "$packages" >"$root/complete"
fi

# Wheels are fetched outside: the chroot needs neither network nor certificates.
wanted=$(cat setup.py packaging/constraints.txt)
if [ "$(cat "$root/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Python packages into it …"
    version=$(chroot "$root" /usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    .venv/bin/python tests/freeradius/requirements.py >"$top/.cache/requirements.txt"
    .venv/bin/pip download -q --disable-pip-version-check --only-binary=:all: \
        --python-version "$version" -c packaging/constraints.txt -d "$root/wheels" \
        -r "$top/.cache/requirements.txt"
    cp packaging/constraints.txt "$root/wheels"
    chroot "$root" /usr/bin/python3 -m venv /venv
    # Its pip has nothing to do with how this machine's is set up.
    chroot "$root" env -i PATH=/usr/bin:/bin /venv/bin/pip install -q --no-index \
        --find-links /wheels --disable-pip-version-check -c /wheels/constraints.txt \
        $(sed 's/[<>=].*//' "$top/.cache/requirements.txt")
    printf '%s\n' "$wanted" >"$root/installed"
fi

exec 9>&-

# The checkout as it is now, in memory; what runs in the chroot cannot change it.  Mounts and a network of its own:
# mounts go with the last process, and nobody takes its ports.
exec unshare --mount --net --fork sh -euc '
    ip link set lo up
    mkdir -p "$0/dev/shm" "$0/src"
    mount -t proc proc "$0/proc"
    mount -t tmpfs tmpfs "$0/dev/shm"
    mount -t tmpfs tmpfs "$0/src"
    tar -cf - --exclude=./.venv --exclude=./.git --exclude="./.*cache" . | tar -xf - -C "$0/src"
    exec chroot "$0" sh -euc "cd /src && exec /venv/bin/python -m \"\$@\"" python "$@"
' "$root" "$@"
