#!/bin/sh
# The Debian package, built in a clean chroot of a suite without network, and read by lintian:
#
#   sh packaging/deb/build.sh bookworm            or trixie, or forky; into dist/SUITE
#   sh packaging/deb/build.sh trixie COMMIT       of the program as it was then, not read by it
#
# The chroot is made once, in .cache/deb, and unpacked for each build.
set -eu
[ "$(id -u)" -eq 0 ] || exec sudo sh "$0" "$@"
cd "$(dirname "$0")/../.."
. tests/setup.sh

suite=${1:?name a suite: bookworm, trixie or forky}
commit=${2:-}
place=$PWD/.cache/deb
rules=packaging/deb/debian
case $suite in
    # What Debian has not, or not new enough: for bookworm, whose pydantic is 1, all of it.
    bookworm) python=3.11 debian=12 bundled=all ;;
    trixie) python=3.13 debian=13 bundled="pyrad smpplib" ;;
    forky) python=3.14 debian=14 bundled=smpplib ;;
    *)
        echo "$suite is not one of bookworm, trixie, forky" >&2
        exit 2
        ;;
esac

need_packages mmdebstrap python3-venv
make_venv "[test,smpp,postgres]"

# What debian/control wants for a build, and what reads the result.
packages=build-essential,lintian,$(sed -n '/^Build-Depends:/,/^[A-Z]/s/^ \([a-z0-9-]*\).*,$/\1/p' \
    "$rules/control" | sed 's/debhelper-compat/debhelper/; s/^dh-sequence.*/dh-python/' | paste -s -d,)
mkdir -p "$place"
exec 9>"$place/$suite.lock"
flock 9
if [ "$(cat "$place/$suite.packages" 2>/dev/null)" != "$packages" ]; then
    echo "Making a $suite …"
    # The archive of a suite that is not released yet may be some weeks old where it is a copy.
    mmdebstrap --quiet --variant=apt --include="$packages" \
        --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$place/$suite.tar"
    printf '%s\n' "$packages" >"$place/$suite.packages"
fi

# Wheels are fetched outside: the chroot has no network.
if [ "$bundled" = all ]; then
    set -- ".[postgres,smpp]"
else
    # shellcheck disable=SC2086  # one word for each package
    set -- --no-deps $bundled
fi
wanted="$* $(cat setup.py packaging/constraints.txt)"
if [ "$(cat "$place/$suite.fetched" 2>/dev/null)" != "$wanted" ]; then
    echo "Fetching Python packages …"
    rm -rf "$place/$suite.wheels"
    .venv/bin/pip download -q --disable-pip-version-check --only-binary=:all: \
        --python-version "$python" -c packaging/constraints.txt -d "$place/$suite.wheels" "$@"
    rm -f "$place/$suite.wheels"/radius_smsotp-*
    printf '%s\n' "$wanted" >"$place/$suite.fetched"
fi

# The pages for man.
[ -n "$commit" ] || sh docs/build.sh >/dev/null

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM
tar -xf "$place/$suite.tar" -C "$root"
source=$root/build/radius-smsotp
mkdir -p "$source"
if [ -n "$commit" ]; then
    git archive "$commit" | tar -x -C "$source"
    rm -rf "$source/packaging"
    cp -a packaging "$source"
    date=$(git log -1 --format=%ct "$commit")
else
    git ls-files -z | tar --null -T - -c | tar -x -C "$source"
    date=$(date +%s)
fi
cp -a "$source/$rules" "$source/debian"
cp -a docs/_build/man "$source/debian"
cp -a "$place/$suite.wheels" "$source/debian/wheels"
echo "$bundled" >"$source/debian/bundled"
# Some of all are compiled.
[ "$bundled" != all ] || sed -i 's/^Architecture: all/Architecture: any/' "$source/debian/control"

version=$(sed -n 's/^ *version="\(.*\)",$/\1/p' "$source/setup.py")
if sed -n 4p "$source/CHANGELOG.rst" | grep -q unreleased; then
    version=$version~$(date -u -d "@$date" +%Y%m%d%H%M%S)
fi
cat >"$source/debian/changelog" <<END
radius-smsotp ($version~deb$debian) $suite; urgency=medium

  * See changelog.gz for what is new.

 -- $(sed -n 's/^Maintainer: //p' "$rules/control")  $(date -u -R -d "@$date")
END

# With the first process all others end, and with the last one the mounts.
unshare --mount --net --pid --fork --kill-child sh -euc '
    mount -t proc proc "$0/proc"
    ip link set lo up
    exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SOURCE_DATE_EPOCH="$1" sh -euc "
        cd /build/radius-smsotp
        dpkg-buildpackage --build=binary --no-sign >/build/log 2>&1 || {
            tail -n 40 /build/log
            exit 1
        }
        [ -n \"$2\" ] || lintian --allow-root --info --fail-on error,warning /build/*.changes
    "
' "$root" "$date" "$commit"

mkdir -p "dist/$suite"
cp "$root"/build/*.deb "$root"/build/*.changes "$root"/build/*.buildinfo "dist/$suite"
ls "dist/$suite"/*"$version"*.deb
