#!/bin/sh
# The documents as a site, docs/_build/html/index.html, from nothing, on Debian 12 or 13.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages python3-venv
make_venv "[docs]"
.venv/bin/python -m sphinx -W --keep-going -n -q -b html docs docs/_build/html
echo "docs/_build/html/index.html"
