"""
OpenVPN, as its page says: two prompts by our script, or its plugins, which know no challenge.

Server and client are real; the tunnel ends in a network namespace of the test.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from hashlib import md5
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.documents import pages
from tests.freeradius import recipe
from tests.freeradius.test_wifi import code, wrong
from tests.peers.dialogue import Dialogue, Terminal
from tests.peers.network import own_network
from tests.peers.pam import Pam, in_service_folder
from tests.support.ports import free_port
from tests.support.radius import SECRET
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site

SCRIPT, PLUGINS = recipe.files("OpenVPN"), recipe.files("OpenVPN's plugins")

SERVER = """\
local 127.0.0.1
port {port}
proto tcp-server
dev tun
server 192.0.2.0 255.255.255.0
topology subnet
dh none
ca {folder}/cert.pem
cert {folder}/cert.pem
key {folder}/cert.key
verify-client-cert none
status {folder}/status 1
verb 3
tmp-dir {folder}
"""

CLIENT = """\
client
dev tun
proto tcp-client
nobind
remote 127.0.0.1 {port}
connect-retry-max 3
ifconfig-noexec
route-noexec
ca {folder}/cert.pem
verb 3
"""


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """A network of its own for each test here."""
    with own_network():
        yield


class OpenVpn:
    """
    A server.

    Args:
        said: What the page has for its configuration.
        prefix: A command that becomes the server, whose command line stands behind it.
    """

    def __init__(self, folder: Path, said: str, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=vpn"),
                *("-keyout", folder / "cert.key", "-out", folder / "cert.pem"),
            ],
            check=True,
            capture_output=True,
        )
        path = folder / "server.conf"
        path.write_text(SERVER.format(folder=folder, port=self.port) + said)
        self.server = Dialogue([*prefix, "openvpn", "--config", str(path)])
        self.server.expect("Initialization Sequence Completed")

    def client(self, said: str) -> list[str]:
        """The command of alice's client, so configured."""
        path = self.folder / "client.conf"
        path.write_text(CLIENT.format(folder=self.folder, port=self.port) + said)
        return ["openvpn", "--config", str(path)]

    def connect(self, password: str) -> str:
        """Log alice in who is asked once.  Returns what she sees, up to the moment she knows."""
        credentials = self.folder / "credentials"
        credentials.write_text(f"alice\n{password}\n")
        credentials.chmod(0o600)
        client = Dialogue(self.client(f"auth-user-pass {credentials}\n"))
        try:
            eventually(lambda: client.reads_one_of("AUTH_FAILED", "Initialization Sequence"))
        finally:
            client.stop()
        return client.shown

    def stop(self) -> None:
        """End it."""
        self.server.stop()


def test_our_script_asks_for_the_code(make_site: Callable[..., Site], tmp_path: Path) -> None:
    """
    At a terminal: a wrong PIN, a wrong code, a resend; then a token takes the connection up again,
    and the sessions are accounted for.
    """
    site = make_site()
    radiusd = site.start()
    for line in pages.typed("OpenVPN"):
        typed = line.replace("/etc/openvpn/", f"{tmp_path}/")
        subprocess.run(typed, shell=True, check=True, cwd=pages.TOP)
    servers = tmp_path / "radius.conf"
    places = {"192.0.2.10:1812": f"127.0.0.1:{free_port()}"}  # nobody answers there
    places |= {"192.0.2.11:1812": f"127.0.0.1:{radiusd.port}", "not-my-secret": SECRET}
    servers.write_text(recipe.fill_in(SCRIPT["radius.conf"], places))
    servers.chmod(0o600)
    vpn = OpenVpn(
        tmp_path, recipe.fill_in(SCRIPT["server.conf"], {"/etc/openvpn/": f"{tmp_path}/"})
    )
    client = Terminal(vpn.client(SCRIPT["client.conf"]))
    try:
        try:
            with_two_prompts(site, client)
            eventually(lambda: "session-started" in site.kinds("alice"))
            client.process.send_signal(signal.SIGUSR1)
            vpn.server.expect(
                "TLS: Username/auth-token authentication succeeded for username 'alice'"
            )
            eventually(lambda: site.kinds("alice").count("session-started") == 2)
        finally:
            client.stop()
        eventually(lambda: site.kinds("alice").count("session-ended") == 2)
    finally:
        vpn.stop()
    recipe.assert_read("OpenVPN", client.shown)
    assert "AUTH_FAILED" not in client.shown.rpartition("Initialization Sequence")[2]
    assert "authentication deferred for username 'alice'" in vpn.server.shown
    kinds = ["pin-wrong", "challenge-opened", "sms-accepted", "code-wrong", "sms-resent"]
    kinds += ["sms-accepted", "code-accepted", *2 * ["session-started", "session-ended"]]
    # Each is told by a process of its own.
    assert sorted(site.kinds("alice")) == sorted(kinds)
    ended = next(one for one in site.events("alice") if one.kind == "session-ended")
    assert ended.station == "127.0.0.1"
    assert ended.detail["address"] == "192.0.2.2"
    assert int(str(ended.detail["received"])) > 0


def test_a_field_for_the_code_beside_that_for_the_pin(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    """OpenVPN's static challenge: left empty it sends the code, then both are one password."""
    site = make_site(clients={"local": {"style": "reject", "forms": ["SCRV1"]}})
    servers = tmp_path / "radius.conf"
    servers.write_text(f"127.0.0.1:{site.start().port} {SECRET}\n")
    servers.chmod(0o600)
    script = f'"{pages.TOP}/freeradius/openvpn/smsotp.py {servers}" via-file'
    vpn = OpenVpn(tmp_path, f"script-security 2\nauth-user-pass-verify {script}\n")
    said = 'auth-user-pass\nauth-retry interact\nstatic-challenge "Code, if you have one:" 1\n'
    client = Terminal(vpn.client(said))
    try:
        for answer, seen in (
            (lambda: "", "AUTH_FAILED,A code was sent to ***67."),
            (lambda: wrong(code(site)), "AUTH_FAILED,Login failed."),
            (lambda: code(site), "Initialization Sequence Completed"),
        ):
            client.expect("Enter Auth Username:")
            client.type("alice")
            client.expect("Enter Auth Password:")
            client.type(PIN)
            client.expect("CHALLENGE: Code, if you have one:")
            client.type(answer())
            client.expect(seen)
    finally:
        client.stop()
        vpn.stop()
    kinds = ["challenge-opened", "sms-accepted", "pin-wrong", "code-accepted"]
    assert [one for one in site.kinds("alice") if not one.startswith("session-")] == kinds


def with_two_prompts(site: Site, client: Dialogue) -> None:
    """A wrong PIN, the right one, a wrong code, a resend, the code."""
    prompt = "Enter the 6-digit code sent to ***67:"
    for pin, seen in (("9999", "AUTH_FAILED,Login failed."), (PIN, f"CHALLENGE: {prompt}")):
        client.expect("Enter Auth Username:")
        client.type("alice")
        client.expect("Enter Auth Password:")
        client.type(pin)
        client.expect(seen)
    client.type(wrong(code(site)))
    client.expect(f"CHALLENGE: Wrong code, 2 left. {prompt}")
    client.type("r")
    client.expect(f"CHALLENGE: Sent again. {prompt}")
    client.type(code(site))
    client.expect("Initialization Sequence Completed")


def ask(folder: Path, user: str, password: str) -> tuple[str, str]:
    """What our script tells OpenVPN: ``1`` or ``0``, and why."""
    answers = [folder / "control", folder / "reason"]
    for path in answers:
        path.write_text("")
    (folder / "typed").write_text(f"{user}\n{password}\n", "utf-8")
    done = subprocess.run(
        [
            pages.TOP / "freeradius" / "openvpn" / "smsotp.py",
            folder / "radius.conf",
            folder / "typed",
        ],
        env={
            "script_type": "user-pass-verify",
            "untrusted_ip": "192.0.2.77",
            "auth_control_file": str(answers[0]),
            "auth_failed_reason_file": str(answers[1]),
        },
        check=False,
    )
    assert done.returncode == 2  # deferred
    return eventually(answers[0].read_text), answers[1].read_text("utf-8")


def test_what_is_typed_arrives_as_it_is(site: Site, radiusd: Radiusd, tmp_path: Path) -> None:
    """Of any length and in any letters; what is no answer to a challenge is a password."""
    (tmp_path / "radius.conf").write_text(
        f"# one\n[::1]:1 no 1\n127.0.0.1:{radiusd.port} {SECRET}\n"
    )
    for number, pin in enumerate(("a" * 16, "b" * 17, "Straße " * 16, "CRV1::zz::1:2")):
        site.add(f"user{number}", text=pin)
        accepted, reason = ask(tmp_path, f"user{number}", pin)
        assert (accepted, reason[:9]) == ("0", "CRV1:R,E:"), pin
        answer = f"CRV1::{reason.split(':')[2]}::{code(site, f'user{number}')}"
        assert ask(tmp_path, f"user{number}", answer) == ("1", "")
    for password, told in (("", "Login failed."), ("CRV1::3030::482913", None)):
        accepted, reason = ask(tmp_path, "alice", password)
        assert accepted == "0"
        assert told in {None, reason}
    assert ask(tmp_path, "alice", "x" * 129) == ("0", "The password is too long.")


def test_an_answer_that_is_not_signed_is_none(tmp_path: Path) -> None:
    """BlastRADIUS forges Response Authenticators, not Message-Authenticators."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        (tmp_path / "radius.conf").write_text(f"127.0.0.1:{port} {SECRET} 1\n")

        def forge() -> None:
            request, place = server.recvfrom(4096)
            head = bytes((2, request[1], 0, 20))
            server.sendto(head + md5(head + request[4:20] + SECRET.encode()).digest(), place)

        thread = threading.Thread(target=forge)
        thread.start()
        accepted, reason = ask(tmp_path, "alice", PIN)
        thread.join()
    assert accepted == "0"
    assert reason == "Login is not possible at the moment. Please try again later."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# none\n", "radius.conf: names no server\n"),
        ("192.0.2.10\n", "radius.conf:1: a line is HOST[:PORT] SECRET [SECONDS]\n"),
        (
            "\n192.0.2.10:x s3cret-of-ours\n",
            "radius.conf:2: a line is HOST[:PORT] SECRET [SECONDS]\n",
        ),
        (None, "radius.conf: [Errno 2] No such file or directory"),
    ],
)
def test_a_file_of_servers_that_is_none_is_told(
    text: str | None, told: str, tmp_path: Path
) -> None:
    """In OpenVPN's log, by file and line, and without the secret; nobody gets in."""
    path = tmp_path / "radius.conf"
    if text:
        path.write_text(text)
    done = subprocess.run(
        [pages.TOP / "freeradius/openvpn/smsotp.py", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"smsotp: {tmp_path}/{told}")
    assert "s3cret" not in done.stderr


def log_in(site: Site, vpn: OpenVpn) -> None:
    """The PIN is refused and sends the code; PIN and code are let in, once, and then no failure."""
    recipe.assert_read("OpenVPN's plugins", vpn.connect(PIN))
    password = PIN + code(site)
    assert "Initialization Sequence Completed" in vpn.connect(password)
    assert "AUTH_FAILED" in vpn.connect(password)
    kinds = [one for one in site.kinds("alice") if not one.startswith("session-")]
    assert kinds[:3] == ["challenge-opened", "sms-accepted", "code-accepted"]
    assert "code-accepted" not in kinds[3:]
    refused = [one.detail for one in site.events("alice") if one.kind == "login-refused"]
    assert refused == [{"reason": "old-code"}]
    with site.store.read() as tx:
        assert tx.lockout("alice").failures == 0


def reject(make_site: Callable[..., Site]) -> Site:
    """With the settings of the page, but for the client's short name."""
    return make_site(**yaml.safe_load(PLUGINS["smsotp.yaml"].replace("openvpn:", "local:")))


def test_its_pam_plugin_and_pam_radius(make_site: Callable[..., Site], tmp_path: Path) -> None:
    """Of whom this machine knows nothing, too."""
    site = reject(make_site)
    pam = Pam(tmp_path / "pam", [site.start()], section="OpenVPN's plugins", name="openvpn")
    vpn = OpenVpn(tmp_path, PLUGINS["pam.conf"], in_service_folder(pam.services))
    try:
        log_in(site, vpn)
    finally:
        vpn.stop()


def test_the_plugin_of_openvpn_auth_radius(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = reject(make_site)
    radiusd = site.start()
    said = {
        "192.0.2.10": "127.0.0.1",
        "192.0.2.1\n": "127.0.0.1\n",
        "/etc/openvpn/": f"{tmp_path}/",
        "acctport=1813": f"acctport={radiusd.port + 1}",
        "authport=1812": f"authport={radiusd.port}",
        "not-my-secret": SECRET,
    }
    (tmp_path / "radiusplugin.cnf").write_text(recipe.fill_in(PLUGINS["radiusplugin.cnf"], said))
    vpn = OpenVpn(
        tmp_path, recipe.fill_in(PLUGINS["radius.conf"], {"/etc/openvpn/": f"{tmp_path}/"})
    )
    try:
        log_in(site, vpn)
        eventually(lambda: "session-ended" in site.kinds("alice"))
    finally:
        vpn.stop()
