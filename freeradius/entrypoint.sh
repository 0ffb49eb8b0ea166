#!/bin/sh
# The start of the container, in the folder that is its volume: makes what is missing there, and
# brings FreeRADIUS's files to the version of the image, those that nobody has edited.
#
#   SMSOTP_SECRET   shared secret of the clients; there is none by default
#   SMSOTP_CLIENT   network that may ask, as 10.0.0.0/8; the container itself always may
#   SMSOTP_DEMO     1: the first start makes the account alice, whose PIN is 1234
set -eu
umask 027
# Process 1 ends at no signal that it does not ask for.
trap 'exit 143' TERM

# Run a command, and show what it has changed.
tell() {
    report=$("$@")
    printf '%s\n' "$report" | grep -E '^(made|written|edited) ' || :
}

: "${SMSOTP_SECRET:?is not set; it is the secret that the RADIUS clients share with this server}"
export SMSOTP_CLIENT="${SMSOTP_CLIENT:-127.0.0.0/8}"

tell smsotp init .
if [ -e raddb/radiusd.conf ]; then
    tell smsotp raddb install --raddb raddb
else
    if [ "${SMSOTP_DEMO:-}" = 1 ] && ! smsotp user show alice >/dev/null 2>&1; then
        echo 1234 | smsotp user add alice --phone +491701234567 --pin-stdin
        echo "Try 'smsotp login alice' in this container; the PIN is 1234."
    fi
    # Any network, so that it listens on all addresses; who may ask stands in what follows.
    smsotp raddb create raddb --client 0.0.0.0/0 >/dev/null
    # Without quotes, FreeRADIUS takes a value from the environment as it is.
    cat >raddb/clients.conf <<'END'
#  Who may ask.  Clients with a secret of their own go here, too.

#  The container itself: "smsotp login", the health check.
client container {
	ipaddr = 127.0.0.1
	secret = $ENV{SMSOTP_SECRET}
	require_message_authenticator = yes
}

client network {
	ipaddr = $ENV{SMSOTP_CLIENT}
	secret = $ENV{SMSOTP_SECRET}
}
END
fi
exec "$@"
