"""
sshd and sudo with pam_radius, set up by the text of their page, and a user at a terminal.

Accounts, PAM's services and sudo's rules are those of a mount namespace; the machine's stay as they
are.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.freeradius import recipe
from tests.freeradius.test_wifi import code, wrong
from tests.peers.dialogue import Dialogue, Terminal
from tests.peers.pam import Pam
from tests.support.ports import free_port
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from tests.support.freeradius import Radiusd, Site

PAGE = recipe.files("SSH and sudo")
PROMPT = "Enter the 6-digit code sent to ***67: "
FILES = ("passwd", "shadow", "sudoers")
ENTER = f"""
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 755 /run/sshd
cp "$0/host.pub" /run/alice.pub
mount --bind "$0/pam.d" /etc/pam.d
for one in {" ".join(FILES)}; do mount --bind "$0/$one" "/etc/$one"; done
# Who still speaks with a client when it ends holds what it writes to.
exec "$@" >/dev/null 2>&1
"""

FRAME = """\
ListenAddress 127.0.0.1
Port {port}
PidFile none
HostKey {folder}/host
LogLevel ERROR
AuthorizedKeysFile /run/alice.pub
"""


def services(folder: Path, said: str) -> None:
    """Debian's, with the lines of the page in their places."""
    auth, session = said.splitlines(keepends=True)
    shutil.rmtree(folder)
    shutil.copytree("/etc/pam.d", folder)
    for name, more in (("sshd", session), ("sudo", "")):
        path = folder / name
        text = recipe.fill_in(path.read_text(), {"@include common-auth\n": auth})
        path.write_text(text + more)


def accounts(folder: Path) -> None:
    """Those of the machine, and alice, who may do what root may."""
    for name, line in (
        ("passwd", "alice:x:4711:4711::/:/bin/sh\n"),
        ("shadow", "alice:*:20000::::::\n"),
        ("sudoers", "alice ALL = (ALL) ALL\n"),
    ):
        path = Path("/etc", name)
        (folder / name).write_text((path.read_text() if name != "sudoers" else "") + line)
        (folder / name).chmod(0o440)


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def client(port: int, *words: str) -> Terminal:
    """An ssh that has no settings of its own, and knows no hosts."""
    options = ("-F", "none", "-p", str(port), "-o", "StrictHostKeyChecking=no")
    options += ("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
    return Terminal(["ssh", *options, *words])


def test_sshd_and_sudo_ask_for_pin_and_code(site: Site, radiusd: Radiusd, tmp_path: Path) -> None:
    """One after the other; a wrong code is asked for again; the session is accounted for."""
    pam = Pam(tmp_path, [radiusd])
    services(pam.services, (pam.services / "sshd").read_text())
    accounts(tmp_path)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "host"], check=True
    )
    port = free_port(1)
    [both] = re.findall(r"``(AuthenticationMethods .*)``", recipe.section("SSH and sudo"))
    more = f"Port {port + 1}\n{PAGE['sshd_config']}Match LocalPort {port + 1}\n{both}\n"
    (tmp_path / "sshd_config").write_text(FRAME.format(folder=tmp_path, port=port) + more)
    server = Dialogue(
        [
            *("unshare", "--mount", "sh", "-euc", ENTER, str(tmp_path)),
            *("/usr/sbin/sshd", "-D", "-e", "-f", f"{tmp_path}/sshd_config"),
        ]
    )
    try:
        eventually(lambda: listens(port))
        user = client(port, "-t", "alice@127.0.0.1", "sudo", "echo", "I am in")
        try:
            for who, again in (("(alice@127.0.0.1) ", ""), ("", "Sorry, try again.\r\n")):
                user.expect(f"{who}PIN: ")
                user.type("9999")
                user.expect(f"{again}{who}PIN: ")
                user.type(PIN)
                user.expect(f"{who}{PROMPT}")
                user.type(wrong(code(site)))
                user.expect(f"{who}Wrong code, 2 left. {PROMPT}")
                user.type(code(site))
            user.expect("I am in")
        finally:
            user.stop()
        other = client(port + 1, "alice@127.0.0.1", "true")
        other.expect("Permission denied (publickey)")
        other.stop()
        other = client(port + 1, "-i", str(tmp_path / "host"), "alice@127.0.0.1", "true")
        other.expect("PIN: ")
        other.stop()
        # We know carol; this host does not, and sends something else in place of what is typed.
        site.add("carol")
        other = client(port, "carol@127.0.0.1", "true")
        other.expect("PIN: ")
        other.type(PIN)
        eventually(lambda: site.kinds("carol"))
        other.stop()
        eventually(lambda: "session-ended" in site.kinds("alice"))
    finally:
        server.stop()
    [refused] = [(one.kind, one.detail) for one in site.events("carol")]
    assert refused == ("login-refused", {"reason": "sshd"})
    recipe.assert_read("SSH and sudo", user.shown)
    kinds = Counter(site.kinds("alice"))
    login = ("pin-wrong", "challenge-opened", "sms-accepted", "code-wrong", "code-accepted")
    assert kinds == {**dict.fromkeys(login, 2), "session-started": 1, "session-ended": 1}
