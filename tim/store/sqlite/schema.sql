-- An instance; once it has a reason, it has ended. Ended instances are kept for seven days.
CREATE TABLE instances (
    generation  INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice, also after a deletion
    id          TEXT    NOT NULL UNIQUE,
    app         INTEGER NOT NULL,
    user        TEXT    NOT NULL,
    browser     TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    since       REAL    NOT NULL,
    expires     REAL    NOT NULL,
    stream      INTEGER NOT NULL,
    node        TEXT    NOT NULL,                   -- the node that has its stream open, or '' for none
    detached_at REAL,
    reason      TEXT,
    gone_at     REAL,
    by_browser  TEXT,
    by_address  TEXT,
    words       TEXT    NOT NULL DEFAULT '',         -- an operator's reason for its end
    ordinal     INTEGER,                            -- NULL where it is the generation
    kind        TEXT    NOT NULL DEFAULT 'tab',
    name        TEXT    NOT NULL DEFAULT '',
    vouched     INTEGER NOT NULL DEFAULT 0,
    disowned    REAL    NOT NULL DEFAULT 0,         -- unix seconds; when its account has said so first, or 0
    lasts_until REAL    NOT NULL DEFAULT 0,
    idle_life   INTEGER NOT NULL DEFAULT 0,
    active_at   REAL    NOT NULL DEFAULT 0,
    -- model.Instance.ends_at
    ends_at     REAL    AS (min(expires, iif(lasts_until, lasts_until, expires),
                                iif(idle_life, active_at + idle_life, expires)))
);
CREATE INDEX instances_live ON instances (app, user, id) WHERE reason IS NULL;
CREATE INDEX instances_away ON instances (app, user) WHERE reason = 'away';
CREATE INDEX instances_due ON instances (detached_at, ends_at, app) WHERE reason IS NULL;
CREATE INDEX instances_pending ON instances (node) WHERE reason IS NOT NULL AND node <> '';
CREATE INDEX instances_ended ON instances (app, user, gone_at, node) WHERE reason IS NOT NULL;
CREATE INDEX instances_forgotten ON instances (gone_at) WHERE reason IS NOT NULL;
CREATE INDEX instances_by_address ON instances (app, address) WHERE reason IS NULL;
CREATE INDEX instances_by_browser ON instances (app, browser COLLATE NOCASE) WHERE reason IS NULL;
CREATE INDEX instances_by_since ON instances (app, since) WHERE reason IS NULL;

-- An account exists once it has logged in or was imported.
CREATE TABLE accounts (
    app  INTEGER NOT NULL,
    user TEXT    NOT NULL,
    seq  INTEGER NOT NULL DEFAULT 0,                -- number of the newest message in its log
    read_seq INTEGER NOT NULL DEFAULT 0,            -- number of the newest message it has read
    bytes INTEGER NOT NULL DEFAULT 0,               -- of its log, as rules.log_size counts them
    PRIMARY KEY (app, user)
) WITHOUT ROWID;

-- UserSigs that an administrator's kick has revoked; kept also where the account is deleted.
CREATE TABLE revocations (
    app    INTEGER NOT NULL,
    user   TEXT    NOT NULL,
    before INTEGER NOT NULL,                        -- unix seconds; those made earlier are revoked
    PRIMARY KEY (app, user)
) WITHOUT ROWID;

-- UserSigs that were used before the date they claim, as the clock of their maker was ahead.
CREATE TABLE early_usersigs (
    app     INTEGER NOT NULL,
    user    TEXT    NOT NULL,
    made    INTEGER NOT NULL,                       -- unix seconds, as the UserSig claims
    expires REAL    NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, user, made, expires)
) WITHOUT ROWID;

-- Each account has a log; a message stands in the sender's and in the receiver's.
CREATE TABLE messages (
    app      INTEGER NOT NULL,
    user     TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    sender   TEXT    NOT NULL,
    receiver TEXT    NOT NULL,
    text     TEXT    NOT NULL,
    time     REAL    NOT NULL,
    instance TEXT    NOT NULL,
    PRIMARY KEY (app, user, seq)
) WITHOUT ROWID;
CREATE INDEX messages_by_id ON messages (app, user, instance, id);
CREATE INDEX messages_old ON messages (time);

-- What an app allows, once it was saved; see model.AppSettings.
CREATE TABLE settings (
    app           INTEGER PRIMARY KEY,
    instances     INTEGER NOT NULL,
    per_account   INTEGER NOT NULL,
    per_address   INTEGER NOT NULL,
    messages      INTEGER NOT NULL DEFAULT 100,
    policy        TEXT    NOT NULL,
    not_me        INTEGER NOT NULL DEFAULT 1,
    help_text     TEXT    NOT NULL DEFAULT '',
    help_url      TEXT    NOT NULL DEFAULT '',
    session_life  INTEGER NOT NULL DEFAULT 0,
    idle_life     INTEGER NOT NULL DEFAULT 0,
    webhook_url   TEXT    NOT NULL,
    webhook_token TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    saved_at      REAL    NOT NULL,
    saved_by      TEXT    NOT NULL
);

-- What the webhook is to be notified of; of one account, the lowest `seq` first.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL,
    app      INTEGER NOT NULL,
    user     TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    at       REAL    NOT NULL,
    address  TEXT    NOT NULL,
    kicked   INTEGER NOT NULL,
    queued   REAL    NOT NULL,                      -- unix seconds
    attempts INTEGER NOT NULL DEFAULT 0             -- that have failed
);
CREATE INDEX events_of_account ON events (app, user, seq);

-- The accounts that have events.
CREATE TABLE event_accounts (
    app     INTEGER NOT NULL,
    user    TEXT    NOT NULL,
    waiting INTEGER NOT NULL,                       -- how many events
    due     REAL    NOT NULL,                       -- unix seconds of the next attempt
    PRIMARY KEY (app, user)
) WITHOUT ROWID;
CREATE INDEX event_accounts_due ON event_accounts (app, due);

-- The queue of an app; see state_change.EventQueue.
CREATE TABLE event_queues (
    app     INTEGER PRIMARY KEY,
    waiting INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0
);

-- Operators that are signed in to the console.
CREATE TABLE sessions (
    app    INTEGER NOT NULL,
    handle TEXT    NOT NULL,                        -- a keyed hash of what the browser has
    role   TEXT    NOT NULL,
    until  REAL    NOT NULL,
    PRIMARY KEY (app, handle)
) WITHOUT ROWID;
CREATE INDEX sessions_over ON sessions (until);

-- An account that an operator has locked out; kept also where the account is deleted.
CREATE TABLE blocks (
    app   INTEGER NOT NULL,
    user  TEXT    NOT NULL,
    until REAL,                                     -- unix seconds; NULL for no end
    words TEXT    NOT NULL,                         -- for the user to read
    at    REAL    NOT NULL,
    by    TEXT    NOT NULL,                         -- the actor
    PRIMARY KEY (app, user)
) WITHOUT ROWID;

-- What has happened; see audit.Entry. Ids have no gaps, so the newest less the oldest is the number of rows, and one that
-- was written at some time is found by halves.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY,
    app         INTEGER NOT NULL,
    written     INTEGER NOT NULL,                   -- microseconds of unix time; never less than in the row before
    at          REAL    NOT NULL,
    kind        TEXT    NOT NULL,
    user        TEXT    NOT NULL,
    instance    TEXT    NOT NULL,
    browser     TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    code        TEXT    NOT NULL,
    words       TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    by_instance TEXT    NOT NULL
);
CREATE INDEX audit_account ON audit (app, user);

-- The same for refusals, so that a flood of them pushes out nothing else.
CREATE TABLE refusals (
    id          INTEGER PRIMARY KEY,
    app         INTEGER NOT NULL,
    written     INTEGER NOT NULL,
    at          REAL    NOT NULL,
    kind        TEXT    NOT NULL,
    user        TEXT    NOT NULL,
    instance    TEXT    NOT NULL,
    browser     TEXT    NOT NULL,
    address     TEXT    NOT NULL,
    code        TEXT    NOT NULL,
    words       TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    by_instance TEXT    NOT NULL
);
CREATE INDEX refusals_account ON refusals (app, user);

-- How often each thing has happened: in the minutes that are not kept any more, and in each minute of the last hours.
CREATE TABLE counters (
    app    INTEGER NOT NULL,
    name   TEXT    NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (app, name)
) WITHOUT ROWID;
CREATE TABLE minutes (
    app    INTEGER NOT NULL,
    minute INTEGER NOT NULL,                        -- unix seconds of its begin
    name   TEXT    NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (minute, app, name)
) WITHOUT ROWID;

-- The newest job of an app; see job.Job.
CREATE TABLE jobs (
    app        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    words      TEXT    NOT NULL,
    search     TEXT    NOT NULL,                    -- JSON
    seats      INTEGER NOT NULL,                    -- the limit to apply
    total      INTEGER NOT NULL,
    started_at REAL    NOT NULL,
    ended      INTEGER NOT NULL DEFAULT 0,
    place      TEXT    NOT NULL DEFAULT '',         -- in the list, up to which it is done
    state      TEXT    NOT NULL DEFAULT 'running',
    closed_at  REAL    NOT NULL DEFAULT 0,
    stopped_by TEXT    NOT NULL DEFAULT '',
    node       TEXT    NOT NULL DEFAULT '',         -- the node that has the lease
    lease_ends REAL    NOT NULL DEFAULT 0           -- unix seconds
);
