#!/bin/sh
# The package for RHEL 10 and Fedora, built by the rpmbuild that is here, into dist/rpm:
#
#   sh packaging/rpm/build.sh
#
# On Debian it shows that the spec file, the SELinux module and the list of files are right; what it
# makes there is for Debian's Python.
set -eu
cd "$(dirname "$0")/../.."
. tests/setup.sh

place=$PWD/.cache/rpm
if [ -e /etc/debian_version ]; then
    need_packages checkpolicy policycoreutils python3-pip python3-setuptools python3-venv python3-wheel rpm \
        semodule-utils
    # Debian's rpm knows nothing of what dpkg has installed.
    set -- --nodeps
fi
make_venv "[test,smpp,postgres]"
rm -rf "$place/SOURCES"
mkdir -p "$place/SOURCES" dist/rpm
name=radius-smsotp-$(sed -n 's/^Version: *//p' packaging/rpm/radius-smsotp.spec)
sh docs/build.sh >/dev/null
{
    git ls-files
    ls docs/_build/man/*.[1-8]
} | tar -T - --transform "s|^|$name/|" -czf "$place/SOURCES/$name.tar.gz"
.venv/bin/pip download -q --disable-pip-version-check --only-binary=:all: \
    -c packaging/constraints.txt -d "$place/SOURCES/wheels" ".[postgres,smpp]"
rm -f "$place/SOURCES/wheels"/radius_smsotp-*
tar -cf "$place/SOURCES/wheels.tar" -C "$place/SOURCES" wheels
rpmbuild -bb --quiet --define "_topdir $place" --define "_rpmdir $PWD/dist/rpm" "$@" \
    packaging/rpm/radius-smsotp.spec
ls dist/rpm/*/*.rpm
