#!/bin/sh
# Faults of a PostgreSQL cluster under load: Patroni, etcd, HAProxy, two radiusd, ten logins a second:
#
#   sh tests/measure/cluster.sh                     all faults, each with a cluster of its own
#   sh tests/measure/cluster.sh switchover freeze   these (--help names all)
#   sh tests/measure/cluster.sh --quick             one, as the tests do
#
# Takes about 40 minutes.  As root.
#
# Every host is a network namespace that goes with the end, and so does the folder of all.
set -eu
cd "$(dirname "$0")/../.."
. tests/setup.sh

need_packages etcd-server freeradius freeradius-python3 haproxy iproute2 patroni pgbouncer postgresql python3-venv
make_venv "[test,smpp,postgres]"
exec .venv/bin/python -m tests.measure.cluster "$@"
