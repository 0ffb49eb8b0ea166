#!/bin/sh
# The start of the container, in the folder that is its volume: makes what is missing there, and
# brings FreeRADIUS's files to the version of the image, those that nobody has edited.
#
#   SMSOTP_SECRET   shared secret of the clients; there is none by default
#   SMSOTP_LISTEN   address at which the machine publishes the port, if only this machine may ask
#   SMSOTP_CLIENT   networks that may ask, as 10.0.0.0/8,192.0.2.1; the container itself always may
#   SMSOTP_SERVER_NAME   DNS name in the certificate for Wi-Fi, which the first start makes
#   SMSOTP_DEMO     1: the first start makes the account alice, whose PIN is 1234, and sends SMS to
#                   the service "gateway"
#   SMSOTP_STORE    where the first start puts the data, as postgresql://USER@HOST/DATABASE; by
#                   default a file in the volume; the password stands in PGPASSWORD
set -eu
umask 027
# Process 1 ends at no signal that it does not ask for.
trap 'exit 143' TERM

# Run a command, and show what it has changed.
tell() {
    report=$("$@") || return
    printf '%s\n' "$report" | grep -E '^(made|written|removed|edited) ' || :
}

: "${SMSOTP_SECRET:?is not set; it is the secret that the RADIUS clients share with this server}"
case $SMSOTP_SECRET/${SMSOTP_LISTEN:-} in
    testing123/127.* | testing123/::1 | testing123/\[::1\] | testing123/localhost) ;;
    testing123/*)
        echo "SMSOTP_SECRET: everybody knows 'testing123'; set another one, or, if the port is published" \
            "at the loopback address only, SMSOTP_LISTEN=127.0.0.1" >&2
        exit 3
        ;;
esac

first=1
[ ! -e smsotp.yaml ] || first=
# A database that starts at the same time needs a while.
tries=30
until tell smsotp init . ${SMSOTP_STORE:+--store "$SMSOTP_STORE"}; do
    tries=$((tries - 1))
    [ -n "${SMSOTP_STORE:-}" ] && [ "$tries" -gt 0 ] || exit 3
    sleep 1
done
if [ -n "$first" ] && [ "${SMSOTP_DEMO:-}" = 1 ]; then
    gateway='{type: http, url: "http://gateway:8025/send", http_method: POST,'
    gateway="$gateway parameter: {to: \"{phone}\", text: \"{message}\"}, message_id_json: id}"
    sed -i "s|^  demo: .*|  demo: $gateway|" smsotp.yaml
    if ! smsotp user show alice >/dev/null 2>&1; then
        echo 1234 | smsotp user add alice --phone +491701234567 --pin-stdin
        echo "Try 'smsotp login alice' in this container; the PIN is 1234."
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
tell smsotp raddb create raddb --listen '*' --secret-env SMSOTP_SECRET $clients \
    ${SMSOTP_SERVER_NAME:+--server-name "$SMSOTP_SERVER_NAME"}
exec "$@"
