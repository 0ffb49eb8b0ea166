#!/bin/sh
# The container, for real: builds the image, starts it by docker-compose.yml, logs in.
#
#   sh tests/container.sh [PYTEST-ARGUMENT...]
#
# It needs no container engine that runs, and no image from elsewhere: Debian 13 is made here,
# in .cache/container.  What is built and started has a network, mounts and processes of its own.
set -eu
[ "$(id -u)" -eq 0 ] || exec sudo sh "$0" "$@"
cd "$(dirname "$0")/.."
if [ -z "${SMSOTP_MOUNTS:-}" ]; then
    # What is mounted and noted of mounts ends with this process, however it ends.
    SMSOTP_MOUNTS=own exec unshare --mount sh tests/container.sh "$@"
fi
mkdir -p /run/containers
mount -t tmpfs tmpfs /run/containers
. tests/setup.sh

box=$PWD/.cache/container
base=localhost/debian:trixie-slim
image=localhost/radius-smsotp
postgres=docker.io/library/postgres:17

need_packages aardvark-dns buildah eapoltest freeradius freeradius-python3 freeradius-utils gpg \
    iproute2 iptables mmdebstrap netavark nftables podman postgresql python3-venv runc
make_venv "[test,smpp,postgres]"

mkdir -p "$box/wheels"
export BUILDAH_ISOLATION=chroot
export CONTAINERS_CONF="$box/containers.conf"
export CONTAINERS_STORAGE_CONF="$box/storage.conf"
cat >"$CONTAINERS_STORAGE_CONF" <<END
[storage]
driver = "overlay"
graphroot = "$box/storage"
runroot = "/run/containers/storage"
END
# By default the limits are the highest there are, which not everybody may set.
cat >"$CONTAINERS_CONF" <<END
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_config_dir = "$box/networks"
END

# What was begun and not finished may lack anything, and what another version has made be another.
version=$(sha256sum <tests/container.sh)
if [ "$(cat "$box/made" 2>/dev/null)" != "$version" ]; then
    rm -rf "$box/storage" "$box/compose" "$box/wheels" "$box/fetched"
    mkdir -p "$box/wheels"
fi
rm -f "$box/made"

if [ ! -x "$box/compose/bin/podman-compose" ]; then
    echo "Installing podman-compose …"
    /usr/bin/python3 -m venv --clear "$box/compose"
    "$box/compose/bin/pip" install -q --disable-pip-version-check podman-compose==1.6.0
fi

if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    echo "Making a Debian 13 …"
    # As in Debian's own slim images: the installation of a package starts no service, and there are
    # no documents and languages.
    mmdebstrap --quiet --variant=minbase \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --customize-hook='
        printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"
        chmod +x "$1/usr/sbin/policy-rc.d"' trixie "$box/base.tar"
    new=$(buildah from scratch)
    buildah add --quiet "$new" "$box/base.tar" / >/dev/null
    buildah commit --quiet --rm "$new" "$base" >/dev/null
    rm "$box/base.tar"
fi

# Wheels are fetched outside, for Debian 13's Python: the build needs no certificates of ours.
wanted=$(cat setup.py packaging/constraints.txt)
if [ "$(cat "$box/fetched" 2>/dev/null)" != "$wanted" ]; then
    echo "Fetching Python packages …"
    .venv/bin/pip download -q --disable-pip-version-check --only-binary=:all: \
        --python-version 3.13 -c packaging/constraints.txt -d "$box/wheels" ".[postgres,smpp]" "setuptools>=66"
    printf '%s\n' "$wanted" >"$box/fetched"
fi
printf '[global]\nno-index = true\nfind-links = /wheels\n' >"$box/pip.conf"

echo "Building the image …"
buildah build --pull-never --layers --format docker \
    --volume "$box/wheels:/wheels:ro" --volume "$box/pip.conf:/etc/pip.conf:ro" \
    --file freeradius/container/Dockerfile --tag "$image" . >"$box/build.log" 2>&1 || {
    tail -n 40 "$box/build.log"
    exit 1
}
# The service postgres names an image from elsewhere: Debian's PostgreSQL stands in for it here, with
# the same variables and the same volume.
if ! buildah inspect --type image "$postgres" >/dev/null 2>&1; then
    echo "Making a PostgreSQL …"
    mkdir -p "$box/postgres"
    cat >"$box/postgres/Dockerfile" <<END
FROM $base
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y postgresql \\
    && rm -rf /var/lib/apt/lists/*
COPY start.sh /
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["sh", "/start.sh"]
END
    cat >"$box/postgres/start.sh" <<'END'
set -eu
cd /usr/lib/postgresql/*/bin
data=/var/lib/postgresql/data
if [ ! -e "$data/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?is not set}"
    chown postgres "$data"
    printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
    chown postgres /tmp/password
    runuser -u postgres -- ./initdb -A scram-sha-256 -U "$POSTGRES_USER" --pwfile=/tmp/password "$data"
    echo "CREATE DATABASE $POSTGRES_DB" | runuser -u postgres -- ./postgres --single -D "$data" template1 || :
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
fi
exec runuser -u postgres -- ./postgres -D "$data" -c "listen_addresses=*" \
    -c unix_socket_directories=/tmp
END
    buildah build --pull-never --format docker --tag "$postgres" "$box/postgres" \
        >"$box/postgres.log" 2>&1 || {
        tail -n 40 "$box/postgres.log"
        exit 1
    }
fi
# Containers that an earlier run has left may need what is old: the tests remove them.
buildah rmi --prune >/dev/null 2>&1 || :
printf '%s\n' "$version" >"$box/made"

# With the first process all others end, and with the last one the mounts and the network.
export SMSOTP_CONTAINER="$image"
export PATH="$box/compose/bin:$PATH"
exec unshare --mount --net --pid --fork --mount-proc --kill-child sh -euc '
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /dev/shm
    ip link set lo up
    .venv/bin/python -m pytest -p no:cacheprovider -m "" tests/package/test_container.py "$@"
' pytest "$@"
