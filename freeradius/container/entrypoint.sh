#!/bin/sh
# The start of the container, in the folder that is its volume: makes what is missing there, and
# brings store and FreeRADIUS's files to the version of the image, those that nobody has edited.
# Any other command than FreeRADIUS is started as it is.
#
#   SMSOTP_SECRET   shared secret of the clients; there is none by default
#   SMSOTP_LISTEN   address at which the machine publishes the port, if only this machine may ask
#   SMSOTP_CLIENT   networks that may ask, as 10.0.0.0/8,192.0.2.1; the container itself always may
#   SMSOTP_SERVER_NAME   DNS name in the certificate for Wi-Fi, which the first start makes
#   SMSOTP_STORE    where the first start puts the data, as postgresql://USER@HOST/DATABASE; by
#                   default a file in the volume; the password stands in PGPASSWORD
#   SMSOTP_CONFIG   smsotp.yaml in this folder, if that is not /etc/radius-smsotp
#   SMSOTP_DEMO     1: the first start makes the account alice, whose PIN is 1234, and sends SMS to
#                   the service "gateway"; for a volume that is thrown away
set -eu
umask 027
# Process 1 ends at no signal that it does not ask for, and a shell only between two commands.
child=
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 0' TERM INT

# Run a command, and show what it has changed.  SIGTERM does not wait for it.
tell() {
    "$@" >"$report" &
    child=$!
    wait "$child" || return
    child=
    grep -E '^(made|written|removed|edited) |; that stays in use' "$report" || :
}

# Of a bind mount, or a volume that was filled in from elsewhere.
if [ ! -w . ] || [ -n "$(find . ! -readable 2>/dev/null | head -n 1)" ]; then
    me=$(id -u):$(id -g)
    echo "$PWD: what is mounted here belongs to another user; on the host: chown -R $me FOLDER" >&2
    exit 3
fi

case "${1:-} ${2:-}" in
    "smsotp prune" | "smsotp exporter")
        # Until the service radius has made what they work with.
        until [ -e raddb/.smsotp.json ]; do
            sleep 1 &
            wait $!
        done
        ;;
esac
[ "${1:-}" = freeradius ] || exec "$@"

: "${SMSOTP_SECRET:?is not set; it is the secret that the RADIUS clients share with this server}"
case $SMSOTP_SECRET/${SMSOTP_LISTEN:-} in
    testing123/127.* | testing123/::1 | testing123/\[::1\] | testing123/localhost) ;;
    testing123/*)
        echo "SMSOTP_SECRET: everybody knows 'testing123'; set another one, or, if the port is published" \
            "at the loopback address only, SMSOTP_LISTEN=127.0.0.1" >&2
        exit 3
        ;;
esac

report=$(mktemp)
# The key is made once all that it needs is there.  Afterwards a store that has gone is told: whoever
# has lost one does not want an empty one.  A database that starts at the same time needs a while.
upgrade=
[ ! -e key ] || upgrade=--upgrade
tell smsotp init . --wait 60 $upgrade ${SMSOTP_STORE:+--store "$SMSOTP_STORE"} || exit 3
if [ "${SMSOTP_DEMO:-}" = 1 ]; then
    if [ -z "$upgrade" ]; then
        gateway='{type: http, url: "http://gateway:8025/send", http_method: POST,'
        gateway="$gateway parameter: {to: \"{phone}\", text: \"{message}\"}, message_id_json: id}"
        sed -i "s|^  demo: .*|  demo: $gateway|" smsotp.yaml
        echo 1234 | smsotp user add alice --phone +491701234567 --pin-stdin
        echo "Try 'smsotp login alice' in this container; the PIN is 1234."
    fi
elif grep -qs '^[^#]*http://gateway:8025' smsotp.yaml; then
    echo "This volume comes from the demo: smsotp.yaml sends codes to its page (http://gateway:8025);" \
        "name another provider ('smsotp provider preset')" >&2
    if smsotp user show alice --json 2>/dev/null | grep -q '+491701234567'; then
        echo "alice, whose PIN everybody knows, may log in: 'smsotp user delete alice'" >&2
    fi
fi

# The container itself may ask: "smsotp login", the health check.
set -f
old_ifs=$IFS
IFS=', '
clients="--client 127.0.0.1"
for network in ${SMSOTP_CLIENT:-}; do
    clients="$clients --client $network"
done
IFS=$old_ifs
# shellcheck disable=SC2086  # two words for each client
tell smsotp raddb create raddb --listen '*' --secret-env SMSOTP_SECRET --signed-local $clients \
    ${SMSOTP_SERVER_NAME:+--server-name "$SMSOTP_SERVER_NAME"}
rm "$report"
exec "$@"
