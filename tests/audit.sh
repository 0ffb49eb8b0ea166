#!/bin/sh
# Whether anything is known against the versions that a new installation gets: asks PyPI, by
# pip-audit.  No answer about one of them is a failure as well.
#
#   sh tests/audit.sh            those of packaging/constraints.txt
#   sh tests/audit.sh --newest   writes the newest ones there first; run the tests with them
set -eu
cd "$(dirname "$0")/.."

place=.cache/audit
constraints=packaging/constraints.txt

if [ "${1:-}" = --newest ]; then
    rm -rf "$place/newest"
    /usr/bin/python3 -m venv "$place/newest"
    "$place/newest/bin/pip" install -q --disable-pip-version-check -e ".[postgres,smpp,docs]"
    {
        grep '^#\|;' "$constraints"  # comments, and what only other Pythons need
        "$place/newest/bin/pip" freeze --exclude-editable
    } >"$place/constraints.txt"
    cp "$place/constraints.txt" "$constraints"
fi

/usr/bin/python3 -m venv "$place"
"$place/bin/pip" install -q --disable-pip-version-check --upgrade pip-audit
exec "$place/bin/pip-audit" --strict --no-deps --disable-pip --vulnerability-service pypi \
    --requirement "$constraints"
