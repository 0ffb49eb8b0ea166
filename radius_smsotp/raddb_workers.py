"""
Several radiusd behind one: the files of `smsotp raddb create --workers`.

``radiusd.conf`` is the front.  ``worker.conf`` is what all workers have in common, each has a
short ``worker1.conf`` with its name and ports, and ``workers.conf`` tells the front where they are.
Sites, policies and modules are those of one raddb, and stand there once.
"""

from __future__ import annotations

PORT_VARIABLE = "${smsotp_worker_port}"
GTC_PORT_VARIABLE = "${smsotp_worker_gtc_port}"
"""What the common files say where each worker has a port of its own."""

FRONT = "smsotp_front"
"""The client that the front is, to the workers: policy.d/smsotp believes it who has asked."""


def names(number: int) -> list[str]:
    """The workers, as in ``freeradius -n worker1``."""
    return [f"worker{one}" for one in range(1, number + 1)]


def worker(name: str, port: int, gtc_port: int) -> str:
    """The file of one worker."""
    return (
        f"#  freeradius -f -d … -n {name}\n\n"
        f"name = {name}\n"
        f"smsotp_worker_port = {port}\n"
        f"smsotp_worker_gtc_port = {gtc_port}\n\n"
        "$INCLUDE worker.conf\n"
    )


def clients(secret: str) -> str:
    """Who may ask a worker: the front, and nobody else."""
    return f'client {FRONT} {{\n\tipaddr = 127.0.0.1\n\tsecret = "{secret}"\n}}\n'


def pool(ports: dict[str, int], secret: str) -> str:
    """The workers as the front sees them."""
    servers = "".join(_home_server(name, port, secret) for name, port in ports.items())
    members = "".join(f"\thome_server = smsotp_{name}\n" for name in ports)
    return (
        f"{servers}"
        "#  By Load-Balance-Key, see radiusd.conf.\n"
        f"home_server_pool smsotp_workers {{\n\ttype = keyed-balance\n{members}}}\n\n"
        "realm smsotp_workers {\n\tauth_pool = smsotp_workers\n\tnostrip\n}\n"
    )


def _home_server(name: str, port: int, secret: str) -> str:
    return f"""home_server smsotp_{name} {{
	type = auth
	ipaddr = 127.0.0.1
	port = {port}
	secret = "{secret}"

	#  One that has not answered for so long is left out, and asked whether it is back.  It must be
	#  longer than any delivery.wait.
	response_window = 6
	zombie_period = 6
	status_check = status-server
	check_interval = 6
	num_answers_to_alive = 3
	max_outstanding = 65536
}}

"""
