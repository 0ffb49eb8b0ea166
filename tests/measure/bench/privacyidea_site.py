"""
Runs in the Python that privacyIDEA is installed in: makes a site of it in a folder.

``python privacyidea_site.py FOLDER GATEWAY-URL USERS``: accounts as those of `logins.CHEAP`, each
with an SMS token and the PIN 1234, and a gateway that is asked by HTTP.
"""

import os
import sys
from pathlib import Path

CONFIG = """
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/pi.db"
SQLALCHEMY_ENGINE_OPTIONS = {{"connect_args": {{"timeout": 30}}}}
SECRET_KEY = PI_PEPPER = "bench"
PI_ENCFILE = "{folder}/enckey"
PI_AUDIT_KEY_PRIVATE = "{folder}/private.pem"
PI_AUDIT_KEY_PUBLIC = "{folder}/public.pem"
PI_LOGFILE = "{folder}/privacyidea.log"
PI_LOGLEVEL = 40
PI_HASH_ALGO_LIST = ["pbkdf2_sha512"]
"""


def main(folder: Path, gateway: str, users: list[str]) -> None:
    """Settings, keys, database, accounts and tokens."""
    config = folder / "pi.cfg"
    config.write_text(CONFIG.format(folder=folder))
    os.environ["PRIVACYIDEA_CONFIGFILE"] = str(config)
    manage = Path(sys.executable).with_name("pi-manage")
    for words in ("create_enckey", "create_audit_keys", "create_tables"):
        os.spawnv(os.P_WAIT, manage, [str(manage), "setup", words])
    lines = (f"{name}:x:{one}:1:{name},,,:/:/bin/sh\n" for one, name in enumerate(users, 1000))
    (folder / "passwd").write_text("".join(lines))

    from privacyidea.app import create_app
    from privacyidea.lib.config import set_privacyidea_config
    from privacyidea.lib.realm import set_default_realm, set_realm
    from privacyidea.lib.resolver import save_resolver
    from privacyidea.lib.smsprovider.SMSProvider import set_smsgateway
    from privacyidea.lib.token import init_token
    from privacyidea.lib.user import User

    app = create_app("production", config_file=str(config), silent=True)
    with app.app_context():
        file = {"resolver": "users", "type": "passwdresolver", "fileName": f"{folder}/passwd"}
        save_resolver(file)
        set_realm("bench", [{"name": "users"}])
        set_default_realm("bench")
        options = {"URL": gateway, "HTTP_METHOD": "GET", "RETURN_SUCCESS": "ID"}
        options |= {"to": "{phone}", "text": "{otp}"}
        module = "privacyidea.lib.smsprovider.HttpSMSProvider.HttpSMSProvider"
        set_smsgateway("gateway", module, options=options)
        set_privacyidea_config("sms.identifier", "gateway")
        for number, name in enumerate(users):
            token = {"type": "sms", "genkey": 1, "pin": "1234", "phone": f"+49170{number:07}"}
            init_token(token, user=User(name, "bench"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(","))
