#!/bin/sh
# Jasmin, for real: messages through it by HTTP and by SMPP, receipts back by both.
#
#   sh tests/jasmin.sh [PYTEST-ARGUMENT...]
#
# It needs RabbitMQ and Redis, and so long to start that the other tests do without.  What is started
# has a network and processes of its own.
set -eu
[ "$(id -u)" -eq 0 ] || exec sudo sh "$0" "$@"
cd "$(dirname "$0")/.."
. tests/setup.sh

place=$PWD/.cache/jasmin
# 0.11.1 passes no receipts on: "SubmitSM object has no attribute response" in its log.
version=0.10.13

need_packages iproute2 python3-venv rabbitmq-server redis-server
need_command npm npm
make_venv "[test,smpp]"
if [ ! -d "$place/resource" ]; then
    mkdir -p "$place"
    python3 -m venv "$place/venv"
    # What it needs beside its code is in the sources alone, and those are all there is.
    "$place/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$place" "jasmin==$version"
    "$place/venv/bin/pip" install -q --disable-pip-version-check "$place/jasmin-$version.tar.gz"
    tar -xzf "$place/jasmin-$version.tar.gz" -C "$place"
    mv "$place/jasmin-$version/misc/config/resource" "$place/resource"
fi
.venv/bin/python -c "from tests.providers.smpp.smsc import modules; modules()"

export SMSOTP_JASMIN="$place"
exec unshare --mount --net --pid --fork --mount-proc --kill-child sh -euc '
    ip link set lo up
    exec .venv/bin/python -m pytest -p no:cacheprovider -m "" tests/peers/test_jasmin.py "$@"
' pytest "$@"
