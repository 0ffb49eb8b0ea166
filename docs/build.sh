#!/bin/sh
# The documents as a site, docs/_build/html/index.html, and as pages for man, docs/_build/man, from
# nothing, on Debian 12 or 13.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

need_packages python3-venv
make_venv "[docs]"
for builder in html man; do
    .venv/bin/python -m sphinx -W --keep-going -n -q -d docs/_build/read -b $builder docs docs/_build/$builder
done
echo "docs/_build/html/index.html"
