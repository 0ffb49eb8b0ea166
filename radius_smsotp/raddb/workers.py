"""
Several radiusd behind one: the files of `smsotp raddb create --workers`.

``radiusd.conf`` is the front.  ``worker.conf`` is what all workers have in common, each has a
short ``worker1.conf`` with its name and ports, and ``workers.conf`` tells the front where they are.
Sites, policies and modules are those of one raddb, and stand there once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from radius_smsotp.raddb import clients
from radius_smsotp.raddb import files as raddb_files

PORT_VARIABLE = "${smsotp_worker_port}"
ACCT_PORT_VARIABLE = "${smsotp_worker_acct_port}"
GTC_PORT_VARIABLE = "${smsotp_worker_gtc_port}"
"""What the common files say where each worker has a port of its own."""

SECRET = "mods-config/smsotp/workers"  # noqa: S105  # the name of a file
"""What front and workers share."""


def names(number: int) -> list[str]:
    """The workers, as in ``freeradius -n worker1``."""
    return [f"worker{one}" for one in range(1, number + 1)]


def secret() -> str:
    """What `SECRET` holds."""
    return f'smsotp_worker_secret = "{secrets.token_hex(24)}"\n'


def files(
    values: Mapping[str, str], ports: Sequence[int], acct_ports: Sequence[int], gtc_port: int
) -> dict[str, str]:
    """
    The files of front and workers, by name.

    Args:
        values: What ``radiusd.conf`` needs; ``LISTEN`` is where the front listens.
        ports, acct_ports: Of the workers, on the loopback address: for logins, for accounting.
        gtc_port: The n-th worker's tunnels end at the n-th port after it.
    """
    named = dict(zip(names(len(ports)), zip(ports, acct_ports, strict=True), strict=True))
    # The front delays what they reject.
    common = {
        "NAME": "#  Its name stands in worker1.conf and so on.",
        "LISTEN": clients.section(
            "127.0.0.1", 4, {"auth": PORT_VARIABLE, "acct": ACCT_PORT_VARIABLE}, "smsotp"
        ),
        "CLIENTS": "worker-clients.conf",
        "REJECT_DELAY": "0",
    }
    include = f"$INCLUDE ${{confdir}}/{SECRET}\n\n"
    return {
        "radiusd.conf": raddb_files.text("front.conf", values),
        "worker.conf": raddb_files.text("radiusd.conf", {**values, **common}),
        "worker-clients.conf": raddb_files.text("worker-clients.conf", {}),
        "workers.conf": include + _pool(named),
    } | {
        f"{name}.conf": raddb_files.text(
            "worker1.conf",
            {
                "NAME": name,
                "PORT": str(port),
                "ACCT_PORT": str(acct_port),
                "GTC_PORT": str(gtc_port + number),
            },
        )
        for number, (name, (port, acct_port)) in enumerate(named.items(), 1)
    }


def _pool(ports: Mapping[str, tuple[int, int]]) -> str:
    """The workers as the front sees them."""
    servers = pools = ""
    for place, (kind, end) in enumerate((("auth", ""), ("acct", "_acct"))):
        servers += "".join(
            _home_server(f"{name}{end}", kind, both[place]) for name, both in ports.items()
        )
        members = "".join(f"\thome_server = smsotp_{name}{end}\n" for name in ports)
        pools += f"home_server_pool smsotp_workers{end} {{\n\ttype = keyed-balance\n{members}}}\n\n"
    return (
        f"{servers}"
        "#  By Load-Balance-Key, see radiusd.conf.\n"
        f"{pools}"
        "realm smsotp_workers {\n\tauth_pool = smsotp_workers\n"
        "\tacct_pool = smsotp_workers_acct\n\tnostrip\n}\n"
    )


def _home_server(name: str, kind: str, port: int) -> str:
    return f"""home_server smsotp_{name} {{
	type = {kind}
	ipaddr = 127.0.0.1
	port = {port}
	secret = "${{smsotp_worker_secret}}"

	#  One that has not answered for so long is left out, and asked whether it is back.  It must be
	#  longer than any delivery.wait: "smsotp check" looks.
	response_window = 6
	zombie_period = 6
	status_check = status-server
	check_interval = 6
	num_answers_to_alive = 3
	max_outstanding = 65536
}}

"""
