"""Somebody at a machine where all of this package is installed, who types what a page says."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from tests.documents.pages import TOP, section
from tests.package.machine import PATH, SYSTEMCTL, Machine
from tests.support.shown import agrees, usual
from tests.support.site import eventually

if TYPE_CHECKING:
    from tests.documents.pages import Command

PIN, OTHER_PIN = "1234", "7531"
PASSPHRASE = "correct horse battery"

SETTINGS = """
store: sqlite:///smsotp.db
pin: {iterations: 10000}
delivery: {order: [backup, clickatell]}
providers:
  backup: {type: folder, path: outbox, price: 0.073}
  clickatell: {type: http, url: "http://127.0.0.1:9/send?to={phone}&text={message}"}
  gateway: {type: folder, path: outbox}
  page: {type: folder, path: outbox}
  office: {type: folder, path: outbox}
ways: {mail: {address: email, order: [office]}, call: {}}
clients:
  10.1.0.0/16: {country: DE, ssids: {Guests: {style: reject}}}
receiver: {url: "https://sms.example.org/9f3c5b1e77a04d2c"}
"""

PROGRAM = """
ln -sfn {top}/.venv /opt/radius-smsotp
ln -sf /opt/radius-smsotp/bin/smsotp /usr/local/bin/
# What is to be installed is there: apt need not read for seconds what else there is.
rm -rf /var/lib/apt/lists
echo "127.0.0.1 radius.example.org radius localhost db" >/etc/hosts
"""

BASE = r"""
cat {top}/setup.py {top}/pyproject.toml {top}/packaging/constraints.txt >{top}/.venv/installed
smsotp init /etc/radius-smsotp
echo {pin} | smsotp user add alice --phone +491701234567 --pin-stdin
smsotp user add bob --phone +491707654321 --no-pin
cat >>/etc/radius-smsotp/key <<END
k20260301-77e1b0d4 $(openssl rand -hex 32)
p20260301-0c95ab3e $(openssl rand -hex 32) pin
END
cat >/etc/radius-smsotp/smsotp.yaml
smsotp raddb install
sed -i 's/^client localhost {{/&\n\tvirtual_server = smsotp/' /etc/freeradius/3.0/clients.conf
mkdir -p /base /srv/work /usr/local/share/zsh/site-functions /root/.config/fish/completions \
    /etc/bash_completion.d /var/www/html
smsotp init /base/site
cp -a /etc/radius-smsotp /etc/freeradius /base
"""
"""What the tutorial leaves behind; its commands are those of `package/test_install.py`."""

AGAIN = """
systemctl stop freeradius
rm -rf /etc/radius-smsotp /etc/freeradius /srv/work
cp -a /base/radius-smsotp /base/freeradius /etc/
mkdir /srv/work
cp -a /base/site /srv/work
"""

STAFF = "name,phone,pin\ncarol,+491701112223,1470"

POSTGRES = """
[ ! -e /var/lib/postgresql/typed/postmaster.pid ] ||
    kill -QUIT "$(head -n 1 /var/lib/postgresql/typed/postmaster.pid)"
rm -rf /var/lib/postgresql/typed
install -d -o postgres -g postgres /var/lib/postgresql /run/postgresql
cd /
[ -e /var/lib/postgresql/new ] ||
    runuser -u postgres -- /usr/lib/postgresql/*/bin/initdb -N -A trust /var/lib/postgresql/new
cp -a /var/lib/postgresql/new /var/lib/postgresql/typed
runuser -u postgres -- /usr/lib/postgresql/*/bin/pg_ctl -D /var/lib/postgresql/typed -w \\
    -o "-c fsync=off" -l /var/lib/postgresql/typed.log start >/dev/null
"""

SHARED = f"""{POSTGRES}
runuser -u postgres -- createuser smsotp
runuser -u postgres -- createdb --owner smsotp smsotp
"""

DATABASE = f"""{POSTGRES}
echo "listen_addresses = '*'" >>/var/lib/postgresql/typed/postgresql.conf
runuser -u postgres -- /usr/lib/postgresql/*/bin/pg_ctl -D /var/lib/postgresql/typed -w \\
    -o "-c fsync=off" -l /var/lib/postgresql/typed.log restart >/dev/null
runuser -u postgres -- createuser smsotp
runuser -u postgres -- createdb --owner smsotp --encoding UTF8 --template template0 smsotp
"""
"""The same for who asks from another machine, once pg_hba.conf lets it in."""

PAST = f"cd {TOP}; .venv/bin/python -m tests.support.past"

THERE = "smsotp user export /srv/work/staff.csv"
BACKED_UP = f"""
printf '%s\\n' '{PASSPHRASE}' | install -m 600 /dev/stdin /root/secret
rm -f /root/smsotp.backup
smsotp backup /root/smsotp.backup --passphrase-file /root/secret
"""

CERTIFICATE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
CERTIFICATE += "-subj /CN=radius -keyout /tmp/key.pem -out /tmp/host.pem 2>/dev/null\n"
CERTIFICATE += "cat /tmp/key.pem /tmp/host.pem >/etc/ssl/host.pem"

ADDRESS = "ip address replace 192.0.2.7/32 dev lo"

CALLED = "sed -i '/virtual_server = smsotp$/d' /etc/freeradius/3.0/clients.conf"
EXTERNAL = "sed -i 's/^delivery: {/&courier: external, /' /etc/radius-smsotp/smsotp.yaml"

RECEIPT = """
grep -q receipt: /etc/radius-smsotp/smsotp.yaml || sed -i \\
    's/{type: http,/& message_id_json: id, receipt: {id: id, state: state},/' \\
    /etc/radius-smsotp/smsotp.yaml
"""

PASTED = re.findall(
    r"(?s)    providers:\n      gateway:\n        \{ .*?\n        \}\n", section("http")
)[0]
"""A provider of privacyIDEA's, as the page about them has it."""


def settings(text: str) -> str:
    """What makes them the settings."""
    return f"cat >/etc/radius-smsotp/smsotp.yaml <<'END'\n{text}END\n"


BEFORE = {
    "Settings": settings(
        "providers: {demo: {type: folder, path: outbox}}\n"
        + "#\n" * 9
        + "limits:\n  per_day: 5.000\n"
    ),
    "http": settings("store: sqlite:///smsotp.db\n" + textwrap.dedent(PASTED)),
    "smsotp user import staff.csv --column name=Login --column phone=Mobile": (
        "printf 'Login,Mobile,Room\\nzoe,+491701112299,12\\n' >/srv/work/staff.csv"
    ),
    "smsotp user sync staff.csv --json >sync.json": THERE,
    'smsotp user sync staff.csv --keep "ext-*"': THERE,
    "smsotp user": f"{PAST}\nsmsotp user delete alice --yes",
    "smsotp user list": PAST,
    "smsotp challenge": PAST,
    "smsotp events": PAST,
    "smsotp init": "rm -r /etc/radius-smsotp",
    "smsotp provider": PAST,
    "smsotp receiver": RECEIPT,
    "smsotp stats": PAST,
    "smsotp trace": PAST,
    "The audit trail": PAST,
    "smsotp courier": EXTERNAL,
    "smsotp store": SHARED,
    "smsotp events --sink": "echo 'audit: {sink: file}' >>/etc/radius-smsotp/smsotp.yaml",
    "PostgreSQL": POSTGRES,
    "smsotp user devices alice": PAST,
    "smsotp user devices alice --forget 02:00:00:00:00:01": PAST,
    "freeradius -f -d ./raddb": "cd /srv/work\nsmsotp raddb create ./raddb",
    "smsotp user codes alice --revoke 3": "smsotp user code alice --count 3",
    "smsotp trace 0b9f3e0c5d7a4f16a2c84d9e6b1f7a30 --json": PAST,
    "smsotp raddb": "echo '# ours' >>/etc/freeradius/3.0/policy.d/smsotp_first_factor",
    "smsotp raddb uninstall": CALLED,
    "smsotp raddb uninstall --purge": CALLED,
    "openssl rand -hex 4 | smsotp user add bob --phone +491707654321 --pin-stdin": "smsotp "
    "user delete bob --yes",
    "smsotp init /etc/radius-smsotp --store postgresql://smsotp@db/smsotp": SHARED
    + "rm -r /etc/radius-smsotp",
    "smsotp store copy sqlite:////srv/smsotp.db sqlite:////root/backup.db": "cp "
    "/etc/radius-smsotp/smsotp.db /srv",
    "smsotp store copy sqlite:////srv/smsotp.db postgresql://smsotp@db/smsotp": SHARED
    + "cp /etc/radius-smsotp/smsotp.db /srv",
    "smsotp backup /root/smsotp.backup": "rm -f /root/smsotp.backup",
    "smsotp backup /root/smsotp.backup --overwrite --passphrase-file /root/secret": BACKED_UP,
    "smsotp restore /root/smsotp.backup": f"{BACKED_UP}\nrm -r /etc/radius-smsotp "
    "/etc/freeradius/3.0/.smsotp.json /etc/freeradius/3.0/certs/smsotp",
    "smsotp restore /root/smsotp.backup --join": f"""{SHARED}
smsotp store copy sqlite:////etc/radius-smsotp/smsotp.db postgresql://smsotp@db/smsotp
sed -i 's|^store: .*|store: postgresql://smsotp@db/smsotp|' /etc/radius-smsotp/smsotp.yaml
{BACKED_UP}
rm -r /etc/radius-smsotp
""",
    "smsotp --config ./site/smsotp.yaml restore smsotp.backup": f"""{BACKED_UP}
mv /root/smsotp.backup /srv/work
rm -r /srv/work/site
""",
    "smsotp exporter --listen 192.0.2.7:9812": ADDRESS,
    "smsotp exporter --listen 192.0.2.7:9812 --certificate /etc/ssl/host.pem": f"{ADDRESS}\n"
    + CERTIFICATE,
    "smsotp receiver --listen 0.0.0.0:8443 --certificate /etc/ssl/host.pem": CERTIFICATE,
    "smsotp delivered": PAST,
    "smsotp delivered 4711": PAST,
    'smsotp delivered 4711 --failed --provider gateway --words "no such number"': PAST,
}
"""What has to have happened before the commands of a section, or before one of them."""

ENDLESS = {
    r"smsotp gateway": r"Open http://\S+ in a browser",
    r"smsotp exporter": r"/metrics answers",
    r"smsotp prune --every": r"removed: ",
    r"smsotp receiver": r" answers, for ",
    r"smsotp courier$": r"has started",
    r"trace \S+ --follow": r"\n",
    r"events --follow": r"\n",
    r"events --sink": r"events are written on",
    r"freeradius -X$": r"Ready to process requests",
    r"smsotp demo --keep": r"Ctrl-C",
    r"demo\.sh --keep": r"Ctrl-C",
}
"""Commands that go on until Ctrl-C, to what they show when they work."""

FIGURES = (
    *("smsotp backup", "smsotp restore", "smsotp key list", "smsotp language list"),
    *("smsotp prune", "smsotp stats", "smsotp store restored", "smsotp check$"),
    "smsotp raddb certificate",
)
"""Commands whose page shows how much there is at a larger site than this one."""

SILENT = {r"freeradius -f": "freeradius"}
"""Commands that do, and show nothing: to the program that has a UDP port when they work."""


def fails(shown: str) -> bool:
    """Whether the document shows that a command does not end well."""
    bad = (
        r"^smsotp: \d+ faulty",
        r"^smsotp: the file does not name",
        r"^\d+ errors?\b",
        r": unavailable after",
        r"^Received Access-Challenge ",  # which is not what radtest hopes for
    )
    return any(re.search(one, shown, re.MULTILINE) for one in bad)


def prepare() -> Machine:
    """A machine on which only the program is: the tutorial, up to ``ln``."""
    offline = {
        "PATH": f"{PATH}:/opt/radius-smsotp/bin",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    one = Machine(TOP, **offline)
    try:
        shim = "/usr/local/bin/systemctl"
        one.do(f"cat >{shim} <<'END'\n{SYSTEMCTL}END\nchmod +x {shim}")
        one.do(PROGRAM.format(top=TOP))
    except BaseException:
        one.close()
        raise
    return one


def install() -> Machine:
    """A machine with all of this package on it, as the tutorial leaves it."""
    one = prepare()
    try:
        settings = f"\ncat >/etc/radius-smsotp/smsotp.yaml <<'END'\n{SETTINGS}END\n"
        base = BASE.format(top=TOP, pin=PIN)
        one.do(base.replace("\ncat >/etc/radius-smsotp/smsotp.yaml\n", settings))
    except BaseException:
        one.close()
        raise
    return one


class Typist:
    """Somebody who types what a page says, and answers what is asked for."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.known: set[str] = set()
        self.state = ""

    def prepare(self, section: str, commands: list[Command]) -> None:
        """What the reader of a section has done or got before."""
        shown = [one.shown for one in commands if one.text == "cat staff.csv"]
        script = f"cat >/srv/work/staff.csv <<'END'\n{shown[0] if shown else STAFF}\nEND\n"
        script += f"{BEFORE.get(section, '')}\n"
        if any(re.search(r"login |radtest", one.text) for one in commands):
            script += "systemctl restart freeradius\n"
        self.machine.do(script)

    def start_again(self) -> None:
        """As if nobody had typed anything yet."""
        self.machine.do(AGAIN)
        self.machine.type("unset SMSOTP_CONFIG")

    def messages(self) -> set[str]:
        """The files that the provider has written."""
        return set(self.machine.do("find /etc/radius-smsotp/outbox -name '*.json' || :").split())

    def code(self) -> str:
        """The code of the message that has come since the login began."""
        [new] = eventually(lambda: self.messages() - self.known)
        found: str = re.findall(r'"text": "(\d{6}) ', self.machine.do(f"cat {new}"))[0]
        return found

    def fill_in(self, text: str) -> str:
        """The values of this moment in the place of the page's examples."""
        if "482913" in text:
            text = text.replace("482913", self.code()).replace("0x3766…", self.state)
        return text

    def listens(self, program: str) -> None:
        """Wait until a program has a UDP port."""
        looking = f"for _ in $(seq 600); do ! ss -Hlunp | grep -q '\"{program}\"' || exit 0"
        self.machine.do(f"{looking}; sleep 0.1; done; exit 1")

    def type(self, command: str, shown: str = "") -> None:
        """Type it; it must end as the page shows."""
        if re.search(r"smsotp login|radtest", command):
            self.known = self.messages()
        text = self.fill_in(command)
        there = re.search(r"\b((sh|cp) (tests|freeradius)/|python -m tests|pip install)", text)
        until = next((end for like, end in ENDLESS.items() if re.search(like, text)), "")
        pin = PIN if "login" in text else OTHER_PIN
        answers = {
            "PIN: ": lambda: pin,
            "Passphrase: ": lambda: PASSPHRASE,
            "The same passphrase again: ": lambda: PASSPHRASE,
            "The same PIN again: ": lambda: pin,
            "assword: ": lambda: PIN,
            "sent to ***67: ": self.code,
        }
        self.machine.type(f"cd {TOP if there else '/srv/work'}")
        silent = next((name for like, name in SILENT.items() if re.match(like, text)), "")
        if silent:
            status, told = self.machine.type(text, ready=lambda: self.listens(silent))
        else:
            status, told = self.machine.type(text, answers, until)
        assert until or silent or (status != 0) == fails(shown), f"{command}: {status}\n{told}"
        if shown:
            figures = any(re.match(like, text) for like in FIGURES)
            whole = f"{shown}\n…" if until else shown
            same = agrees(whole, told, figures=figures)
            assert same, f"{command} shows\n{usual(told)}\nand the page\n{usual(shown)}"
        if found := re.search(r"State = (0x\w+)", told):
            self.state = found[1]
