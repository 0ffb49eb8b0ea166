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


def files(values: Mapping[str, str], ports: Sequence[int], gtc_port: int) -> dict[str, str]:
    """
    The files of front and workers, by name.

    Args:
        values: What ``radiusd.conf`` needs; ``LISTEN`` is where the front listens.
        ports: Of the workers, on the loopback address.
        gtc_port: The n-th worker's tunnels end at the n-th port after it.
    """
    named = dict(zip(names(len(ports)), ports, strict=True))
    # The front delays what they reject.
    common = {
        "NAME": "#  Its name stands in worker1.conf and so on.",
        "LISTEN": clients.section("127.0.0.1", 4, PORT_VARIABLE, "smsotp"),
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
            "worker1.conf", {"NAME": name, "PORT": str(port), "GTC_PORT": str(gtc_port + number)}
        )
        for number, (name, port) in enumerate(named.items(), 1)
    }


def _pool(ports: Mapping[str, int]) -> str:
    """The workers as the front sees them."""
    servers = "".join(_home_server(name, port) for name, port in ports.items())
    members = "".join(f"\thome_server = smsotp_{name}\n" for name in ports)
    return (
        f"{servers}"
        "#  By Load-Balance-Key, see radiusd.conf.\n"
        f"home_server_pool smsotp_workers {{\n\ttype = keyed-balance\n{members}}}\n\n"
        "realm smsotp_workers {\n\tauth_pool = smsotp_workers\n\tnostrip\n}\n"
    )


def _home_server(name: str, port: int) -> str:
    return f"""home_server smsotp_{name} {{
	type = auth
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
