# Shell functions that freeradius/demo.sh and tests/run.sh share; sourced from the checkout's top.

# As root, with or without sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages NAME...: install the Debian packages that are missing.  No service of theirs starts.
need_packages() {
    need --install-recommends "$@"
}

# need_bare NAME...: the same, without what they recommend.
need_bare() {
    need --no-install-recommends "$@"
}

# need OPTION NAME...: the same, with an option of apt-get.
need() {
    option=$1
    shift
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && return
    echo "Installing$missing …"
    as_root apt-get update -qq
    (
        # What invoke-rc.d asks before it starts a service.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'as_root rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
            as_root chmod 755 "$policy"
        fi
        # shellcheck disable=SC2086  # one word for each package
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$option" $missing >/dev/null
    )
}

# need_unpacked PACKAGE: the same for one that would take over this machine; into .cache/PACKAGE.
need_unpacked() {
    [ ! -e ".cache/$1" ] || return 0
    echo "Unpacking $1 …"
    rm -rf ".cache/$1.part"
    mkdir -p ".cache/$1.part"
    (cd ".cache/$1.part" && apt-get download -qq "$1" && dpkg-deb -x ./*.deb . && rm ./*.deb)
    mv ".cache/$1.part" ".cache/$1"
}

# need_command COMMAND PACKAGE: the same for a command that may come from elsewhere.
need_command() {
    command -v "$1" >/dev/null || need_packages "$2"
}

# make_venv EXTRAS: a virtual environment in .venv of the Python that FreeRADIUS embeds,
# which is the system's, not the first one on the PATH.
make_venv() {
    # pip comes last.
    [ -x .venv/bin/pip ] || /usr/bin/python3 -m venv .venv
    wanted=$(cat setup.py pyproject.toml packaging/constraints.txt)
    stamp=".venv/installed$1"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing Python packages …"
        # By a path alone, and not a finder of setuptools: that takes as long to start as Python itself.
        .venv/bin/pip install -q --disable-pip-version-check -c packaging/constraints.txt \
            --config-settings editable_mode=compat -e ".$1"
        printf '%s\n' "$wanted" >"$stamp"
    fi
}
