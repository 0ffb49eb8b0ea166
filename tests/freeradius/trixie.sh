#!/bin/sh
# tests/freeradius on Debian 13 (FreeRADIUS 3.2.7, Python 3.13), in a chroot that is kept in .cache.
#
#   sh tests/freeradius/trixie.sh [PYTEST-ARGUMENT...]
#   sh tests/freeradius/trixie.sh --run tests.freeradius.malformed 100000     a long form there
#   SUITE=forky sh tests/freeradius/trixie.sh                                 what a login takes, on Debian testing
#   sh tests/freeradius/trixie.sh --make                       no more than the system, for later
set -eu
cd "$(dirname "$0")/../.."
top=$PWD
suite=${SUITE:-trixie}
root=$top/.cache/$suite
if [ $# -gt 0 ]; then
    :
elif [ "$suite" = trixie ]; then
    # The SMSC of two modules needs Node.js, which is not in there.
    set -- tests/freeradius --ignore=tests/freeradius/test_smpp.py --ignore=tests/freeradius/test_busy.py
else
    set -- tests/freeradius/test_two_steps.py::test_pin_then_code_is_let_in \
        tests/freeradius/test_two_steps.py::test_radtest_and_radclient_do_the_same \
        tests/freeradius/test_secrets.py tests/cli/check/test_command.py::TestFreeRadius::test_the_one_of_this_machine_works
fi
case $1 in
    --run) shift ;;
    --make) ;;
    *) set -- pytest -p no:cacheprovider "$@" ;;
esac

# One makes it, however many begin at once.
mkdir -p "$top/.cache"
exec 9>"$root.lock"
flock 9
# Only unpacked: half of what PostgreSQL depends on is a compiler, and its own.
unpacked="postgresql-17 postgresql-client-17"
packages=eapoltest,faketime,freeradius,freeradius-ldap,freeradius-mysql,freeradius-python3,freeradius-utils
packages=$packages,haproxy,iproute2,libpq5,libxml2,mariadb-client-core,mariadb-server-core,mount,openssl
packages=$packages,python3,radsecproxy,samba-ad-dc,samba-ad-provision,slapd,strace,winbind
[ "$suite" = trixie ] || packages=freeradius,freeradius-python3,freeradius-utils,openssl,python3 unpacked=
if [ "$(cat "$root/complete" 2>/dev/null)" != "$packages $unpacked" ]; then
    echo "Making a $suite …"
    rm -rf "$root"
    # Nobody mourns a half-made one; and to look for a safe prime takes as long as it likes.  What a mirror has of
    # testing may be some weeks old.
    mmdebstrap --quiet --variant=apt --include="$packages" --dpkgopt=force-unsafe-io \
        --aptopt='APT::Install-Recommends "0"' --aptopt='Acquire::Check-Valid-Until "false"' \
        --essential-hook='mkdir -p "$1/etc/freeradius/3.0/certs" && openssl dhparam -dsaparam \
            -out "$1/etc/freeradius/3.0/certs/dh" 2048 2>/dev/null' \
        --customize-hook="[ -n '$unpacked' ] || exit 0
            mkdir \"\$1/unpacked\" && cd \"\$1/unpacked\"
            APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root \
                download $unpacked
            for one in *.deb; do
                dpkg-deb --fsys-tarfile \"\$one\" | tar -xf - -C \"\$1\" --exclude='*llvmjit*'
            done" \
        "$suite" "$root"
    rm -rf "$root/unpacked"
    printf '%s\n' "$packages $unpacked" >"$root/complete"
fi
[ "$1" != --make ] || exit 0

# Wheels come from outside: the chroot needs neither network nor certificates.
wanted=$(cat setup.py packaging/constraints.txt)
if [ "$(cat "$root/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Python packages into it …"
    rm -rf "$root/venv"
    chroot "$root" /usr/bin/python3 -m venv --without-pip /venv
    .venv/bin/python tests/freeradius/requirements.py >"$root/requirements.txt"
    library=$(echo "$root"/venv/lib/python3.*)
    .venv/bin/pip install -q --disable-pip-version-check --no-compile --only-binary=:all: \
        --python-version "${library##*python}" --target "$library/site-packages" \
        -c packaging/constraints.txt -r "$root/requirements.txt"
    printf '%s\n' "$wanted" >"$root/installed"
fi

exec 9>&-

# The checkout as it is now, in memory; what runs in the chroot cannot change it.  Mounts and a network of its own:
# mounts go with the last process, and nobody takes its ports.
exec unshare --mount --net sh -euc '
    ip link set lo up
    mkdir -p "$0/dev/shm" "$0/src"
    mount -t proc proc "$0/proc"
    mount -t tmpfs tmpfs "$0/dev/shm"
    mount -t tmpfs tmpfs "$0/src"
    tar -cf - --exclude=./.venv --exclude=./.git --exclude="./.*cache" . | tar -xf - -C "$0/src"
    mkdir "$0/src/.cache"
    mount --bind .cache "$0/src/.cache"
    exec chroot "$0" sh -euc "cd /src && exec /venv/bin/python -m \"\$@\"" python "$@"
' "$root" "$@"
