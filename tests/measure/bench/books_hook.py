"""
Runs inside radiusd: the empty hook, with the least that must be kept of a two-step login.

A challenge is opened, and spent once, on the disk before the answer leaves; in an SQLite file that
other processes may use at the same time.  No account, limit, lock-out, code, audit trail or
message: a module in Python that does more than this is slower.
"""

import os
import secrets
import sqlite3

import empty_hook
import radiusd

path = radiusd.config["argument"]
connections = []


def authenticate(request):
    """A request with State is the second step."""
    db, log = connections or _open()
    state = dict(request).get("State")
    db.execute("BEGIN IMMEDIATE")
    if state is None:
        state = secrets.token_hex(16)
        db.execute("INSERT INTO challenge VALUES (?, 'open')", (state,))
        db.execute("COMMIT")
        status, reply, config = empty_hook.CHALLENGE
        return status, (("State", ":=", state), *reply[1:]), config
    sql = "UPDATE challenge SET state = 'spent' WHERE transaction_id = ? AND state = 'open'"
    spent = db.execute(sql, (bytes.fromhex(state[2:]).decode(),)).rowcount
    db.execute("COMMIT")
    os.fdatasync(log)
    return empty_hook.ACCEPT if spent else radiusd.RLM_MODULE_REJECT


def _open():
    """Not before the first request: radiusd may fork after it has loaded this."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE challenge (transaction_id TEXT PRIMARY KEY, state TEXT)")
    connections.extend((db, os.open(f"{path}-wal", os.O_RDWR)))
    return connections
