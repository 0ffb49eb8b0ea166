"""
The schema, version by version.

Each entry of `VERSIONS` leads from the version before it to its own; a store of any earlier
version takes the missing steps, in one transaction.  Entries are never changed afterwards.
Times are seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

VERSIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE account (
            name TEXT PRIMARY KEY,
            phone TEXT,
            pin_hash TEXT,
            provider TEXT,
            enabled INTEGER NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL
        )
        """,
        """
        CREATE TABLE lockout (
            account TEXT PRIMARY KEY,
            failures INTEGER NOT NULL,
            last_failure_at DOUBLE PRECISION,
            locked_until DOUBLE PRECISION
        )
        """,
        # The message is part of the row: whoever holds its lease sends it.
        """
        CREATE TABLE challenge (
            transaction_id TEXT PRIMARY KEY,
            account TEXT NOT NULL,
            client TEXT NOT NULL,
            station TEXT NOT NULL,
            key_id TEXT NOT NULL,
            digits INTEGER NOT NULL,
            phone_hint TEXT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL,
            guesses_left INTEGER NOT NULL,
            state TEXT NOT NULL,
            delivery_state TEXT NOT NULL,
            route TEXT NOT NULL,
            sealed_phone TEXT NOT NULL,
            template TEXT NOT NULL,
            sends INTEGER NOT NULL,
            provider TEXT,
            lease_owner TEXT,
            lease_until DOUBLE PRECISION
        )
        """,
        # Open challenges are few whatever the history: small indexes, cheap to keep.
        "CREATE INDEX challenge_open ON challenge (account) WHERE state = 'open'",
        "CREATE INDEX challenge_queued ON challenge (lease_until) WHERE delivery_state = 'queued'",
        "CREATE INDEX challenge_age ON challenge (expires_at)",
        # How many messages left in a slot of `tallies.SLOT` seconds, by scope.
        """
        CREATE TABLE tally (
            scope TEXT NOT NULL,
            slot INTEGER NOT NULL,
            sent INTEGER NOT NULL,
            PRIMARY KEY (scope, slot)
        )
        """,
        "CREATE INDEX tally_age ON tally (slot)",
        """
        CREATE TABLE device (
            account TEXT NOT NULL,
            client TEXT NOT NULL,
            station TEXT NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (account, client, station)
        )
        """,
        """
        CREATE TABLE event (
            id INTEGER PRIMARY KEY,
            time DOUBLE PRECISION NOT NULL,
            kind TEXT NOT NULL,
            account TEXT NOT NULL,
            transaction_id TEXT NOT NULL,
            client TEXT NOT NULL,
            station TEXT NOT NULL,
            detail TEXT NOT NULL
        )
        """,
        "CREATE INDEX event_account ON event (account, id)",
        "CREATE INDEX event_challenge ON event (transaction_id) WHERE transaction_id <> ''",
        "CREATE INDEX event_age ON event (time)",
        """
        CREATE TABLE breaker (
            provider TEXT PRIMARY KEY,
            state TEXT NOT NULL,
            since DOUBLE PRECISION NOT NULL,
            reason TEXT NOT NULL
        )
        """,
    ),
    (
        # Devices are told apart by SSID too, and remembered for a number.  Those of before say
        # neither: each needs a code once more.
        "DROP TABLE device",
        """
        CREATE TABLE device (
            account TEXT NOT NULL,
            client TEXT NOT NULL,
            ssid TEXT NOT NULL,
            station TEXT NOT NULL,
            number_tag TEXT NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (account, client, ssid, station)
        )
        """,
    ),
    # Which answer was judged last, so that its retransmission gets the same reply.
    ("ALTER TABLE challenge ADD COLUMN answered TEXT NOT NULL DEFAULT ''",),
    (
        # A counter is found by its key and lies there: one page to read and write, not two.
        """
        CREATE TABLE counter (
            scope TEXT NOT NULL,
            slot INTEGER NOT NULL,
            sent INTEGER NOT NULL,
            PRIMARY KEY (scope, slot)
        ) WITHOUT ROWID
        """,
        "INSERT INTO counter SELECT scope, slot, sent FROM tally",
        "DROP TABLE tally",
        "ALTER TABLE counter RENAME TO tally",
        "CREATE INDEX tally_age ON tally (slot)",
        # Each event would write to another page of it, at each login three.  A person who asks
        # for the events of one challenge can wait until all are looked through.
        "DROP INDEX event_challenge",
    ),
    (
        # Texts in the language of whoever reads them; a login keeps to one.
        "ALTER TABLE account ADD COLUMN language TEXT",
        "ALTER TABLE challenge ADD COLUMN language TEXT NOT NULL DEFAULT ''",
    ),
    (
        # An import is laid ready here, then made valid by one row of `batch`: see `staging`.
        """
        CREATE TABLE batch (
            name TEXT PRIMARY KEY,
            valid INTEGER NOT NULL,
            newest DOUBLE PRECISION NOT NULL,
            touched_at DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX batch_valid ON batch (valid)",
        """
        CREATE TABLE staged_account (
            batch TEXT NOT NULL,
            name TEXT NOT NULL,
            phone TEXT,
            pin_hash TEXT,
            provider TEXT,
            enabled INTEGER NOT NULL,
            language TEXT,
            kind TEXT NOT NULL,
            detail TEXT NOT NULL,
            forget INTEGER NOT NULL,
            PRIMARY KEY (batch, name)
        )
        """,
        "CREATE INDEX account_changed ON account (changed_at)",
        # How many events of a kind there were in a quarter of an hour: see `store.statistics`.
        """
        CREATE TABLE figure (
            slot INTEGER NOT NULL,
            kind TEXT NOT NULL,
            reason TEXT NOT NULL,
            provider TEXT NOT NULL,
            bucket INTEGER NOT NULL,
            events INTEGER NOT NULL,
            seconds DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (slot, kind, reason, provider, bucket)
        )
        """,
        "CREATE TABLE counted (until INTEGER PRIMARY KEY)",
    ),
    (
        # Imports are written straight into `account`.  What still counts from a batch moves there,
        # as it did before, of two the later one; what does not count yet was never seen.
        "DELETE FROM staged_account WHERE batch NOT IN (SELECT name FROM batch WHERE valid = 1)",
        """
        DELETE FROM staged_account WHERE EXISTS (
            SELECT 1 FROM batch AS own CROSS JOIN batch AS other CROSS JOIN staged_account AS later
            WHERE own.name = staged_account.batch AND later.batch = other.name
            AND later.name = staged_account.name
            AND (other.touched_at, other.name) > (own.touched_at, own.name)
        )
        """,
        """
        INSERT INTO event (kind, time, account, transaction_id, client, station, detail)
        SELECT 'device-forgotten', touched_at, staged_account.name, '', '', '',
            '{"devices": ' || count(*) || ', ' || substr(detail, instr(detail, '"by"'))
        FROM staged_account JOIN batch ON batch.name = staged_account.batch
        JOIN device ON device.account = staged_account.name
        WHERE forget = 1 GROUP BY touched_at, staged_account.name, detail
        """,
        "DELETE FROM device WHERE account IN (SELECT name FROM staged_account WHERE forget = 1)",
        """
        UPDATE challenge SET state = 'cancelled' WHERE state = 'open'
        AND account IN (SELECT name FROM staged_account WHERE kind = 'account-changed')
        """,
        """
        INSERT INTO account
            (name, phone, pin_hash, provider, enabled, language, created_at, changed_at)
        SELECT staged_account.name, phone, pin_hash, provider, enabled, language,
            touched_at, touched_at
        FROM staged_account JOIN batch ON batch.name = staged_account.batch
        WHERE valid = 1
        ON CONFLICT (name) DO UPDATE SET phone = excluded.phone, pin_hash = excluded.pin_hash,
            provider = excluded.provider, enabled = excluded.enabled,
            language = excluded.language, changed_at = excluded.changed_at
        """,
        """
        INSERT INTO event (kind, time, account, transaction_id, client, station, detail)
        SELECT kind, touched_at, staged_account.name, '', '', '', detail
        FROM staged_account JOIN batch ON batch.name = staged_account.batch
        """,
        "DROP TABLE staged_account",
        "DROP TABLE batch",
        "DROP INDEX account_changed",
        # PostgreSQL's alone: what its advisory locks do now.
        "DROP TABLE IF EXISTS stripe",
        # A challenge has messages, and a message has attempts.
        """
        CREATE TABLE message (
            transaction_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            state TEXT NOT NULL,
            route TEXT NOT NULL,
            sealed_phone TEXT NOT NULL,
            template TEXT NOT NULL,
            provider TEXT,
            not_before DOUBLE PRECISION,
            lease_owner TEXT,
            lease_until DOUBLE PRECISION,
            PRIMARY KEY (transaction_id, number)
        ) WITHOUT ROWID
        """,
        """
        INSERT INTO message (transaction_id, number, state, route, sealed_phone, template,
            provider, lease_owner, lease_until)
        SELECT transaction_id, sends, delivery_state, route, sealed_phone, template,
            provider, lease_owner, lease_until
        FROM challenge
        """,
        "DROP INDEX challenge_queued",
        *(
            f"ALTER TABLE challenge DROP COLUMN {column}"
            for column in (
                *("delivery_state", "route", "sealed_phone", "template", "sends"),
                *("provider", "lease_owner", "lease_until"),
            )
        ),
        "CREATE INDEX message_queued ON message (lease_until) WHERE state = 'queued'",
        """
        CREATE TABLE attempt (
            transaction_id TEXT NOT NULL,
            message INTEGER NOT NULL,
            number INTEGER NOT NULL,
            provider TEXT NOT NULL,
            verdict TEXT NOT NULL,
            provider_id TEXT,
            time DOUBLE PRECISION NOT NULL,
            seconds DOUBLE PRECISION NOT NULL,
            text TEXT NOT NULL,
            receipt TEXT,
            PRIMARY KEY (transaction_id, message, number)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX attempt_id ON attempt (provider, provider_id) WHERE provider_id IS NOT NULL",
        # Stations had keys of three lines among the lock-outs, refusals of nobody one that begins
        # with a line break: no name has one.
        """
        CREATE TABLE station (
            account TEXT NOT NULL,
            client TEXT NOT NULL,
            station TEXT NOT NULL,
            seen_at DOUBLE PRECISION NOT NULL,
            failures INTEGER NOT NULL,
            last_failure_at DOUBLE PRECISION,
            locked_until DOUBLE PRECISION,
            PRIMARY KEY (account, client, station)
        ) WITHOUT ROWID
        """,
        """
        INSERT INTO station
        SELECT account, substr(place, 1, instr(place, '\n') - 1),
            substr(place, instr(place, '\n') + 1),
            last_failure_at, failures, last_failure_at, locked_until
        FROM (
            SELECT substr(account, 1, instr(account, '\n') - 1) AS account,
                substr(account, instr(account, '\n') + 1) AS place,
                failures, last_failure_at, locked_until
            FROM lockout WHERE instr(account, '\n') > 1
        ) AS found
        """,
        "DELETE FROM lockout WHERE instr(account, '\n') > 0",
        """
        CREATE TABLE decoy (
            number INTEGER PRIMARY KEY,
            failures INTEGER NOT NULL,
            last_failure_at DOUBLE PRECISION,
            locked_until DOUBLE PRECISION
        )
        """,
    ),
    (
        # Which keys the store was used with: see `model.code.key_fingerprint`.
        """
        CREATE TABLE known_key (
            fingerprint TEXT PRIMARY KEY,
            key_id TEXT NOT NULL,
            since DOUBLE PRECISION NOT NULL
        )
        """,
    ),
    # PIN hashes may be sealed from here on (see `model.pin`): to a version before, each PIN would
    # be wrong.
    (),
    (
        # What each server shows to Wi-Fi devices: see `cli.check.servers`.
        """
        CREATE TABLE authority (
            place TEXT PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            name TEXT NOT NULL,
            seen_at DOUBLE PRECISION NOT NULL
        )
        """,
    ),
    (
        # The codes that the helpdesk makes for an account: see `model.code.emergency`.
        """
        CREATE TABLE emergency (
            account TEXT PRIMARY KEY,
            batch TEXT NOT NULL,
            key_id TEXT NOT NULL,
            made_at DOUBLE PRECISION NOT NULL,
            expires_at DOUBLE PRECISION NOT NULL,
            uses TEXT NOT NULL
        ) WITHOUT ROWID
        """,
        "ALTER TABLE challenge ADD COLUMN emergency INTEGER NOT NULL DEFAULT 0",
        # A number that goes before any other for a time.
        "ALTER TABLE account ADD COLUMN override TEXT",
        "ALTER TABLE account ADD COLUMN override_until DOUBLE PRECISION",
    ),
    (
        # The codes that a station was let in with: devices keep them behind the PIN.
        "ALTER TABLE station ADD COLUMN spent TEXT NOT NULL DEFAULT ''",
        # So may others, whose station is new.  Answers with a State, which are most, have a tag.
        "CREATE INDEX challenge_kept ON challenge (account, created_at) "
        "WHERE state = 'spent' AND answered = ''",
    ),
    # Of its number, see `model.code.number_tag`: so that what is counted under it can be asked for
    # along with the account.
    ("ALTER TABLE account ADD COLUMN number_tag TEXT",),
    (
        # Codes that came behind a PIN from anywhere are those of the station '' at the client '':
        # so who asks from elsewhere waits no longer for whoever has kept some.
        "DROP INDEX challenge_kept",
    ),
    (
        # How the ids of a provider stand in its receipts: see `model.receipts.Habit`.
        "ALTER TABLE attempt ADD COLUMN receipt_id TEXT",
        "CREATE INDEX attempt_habit ON attempt (provider, time) WHERE receipt_id IS NOT NULL",
        # Receipts that came before their attempt was written, or are of no message of ours.
        """
        CREATE TABLE early_receipt (
            provider TEXT NOT NULL,
            provider_id TEXT NOT NULL,
            delivered INTEGER NOT NULL,
            words TEXT NOT NULL,
            time DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (provider, provider_id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX early_receipt_age ON early_receipt (time)",
        # Disabled by a sync whose file did not name it: see `cli.user.sync`.
        "ALTER TABLE account ADD COLUMN gone INTEGER NOT NULL DEFAULT 0",
        # A message comes again, and is counted no more if it never left.
        "ALTER TABLE message ADD COLUMN tries INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE message ADD COLUMN counted TEXT NOT NULL DEFAULT '[]'",
        # Which radiusd use this store: where a client may turn to another one.
        """
        CREATE TABLE server (
            place TEXT PRIMARY KEY,
            seen_at DOUBLE PRECISION NOT NULL
        ) WITHOUT ROWID
        """,
        # Other ways to a person: see `model.ways`.
        "ALTER TABLE account ADD COLUMN ways TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE message ADD COLUMN way TEXT NOT NULL DEFAULT 'sms'",
        "ALTER TABLE message ADD COLUMN ways TEXT NOT NULL DEFAULT ''",
    ),
)

TABLES = {
    "account": ("name",),
    "lockout": ("account",),
    "station": ("account", "client", "station"),
    "emergency": ("account",),
    "decoy": ("number",),
    "challenge": ("transaction_id",),
    "message": ("transaction_id", "number"),
    "attempt": ("transaction_id", "message", "number"),
    "tally": ("scope", "slot"),
    "device": ("account", "client", "ssid", "station"),
    "event": ("id",),
    "breaker": ("provider",),
    "figure": ("slot", "kind", "reason", "provider", "bucket"),
    "counted": ("until",),
    "known_key": ("fingerprint",),
    "authority": ("place",),
    "server": ("place",),
    "early_receipt": ("provider", "provider_id"),
}
"""Each table of the newest version, and its key."""
