-- The catalog, version 1. Instants are microseconds since 1970 in UTC, spans are milliseconds, sizes are bytes.
-- Enumerations are small integers; their meaning stands beside each. Views at the end speak text and dates for people.

PRAGMA application_id = 1112757328; -- "BSTP"

CREATE TABLE backups (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    workload    TEXT NOT NULL,
    created     INTEGER NOT NULL,
    tiers       TEXT NOT NULL,                                  -- words separated by commas, sorted; may be empty
    mode        INTEGER NOT NULL CHECK (mode BETWEEN 0 AND 2),  -- full, incremental, differential
    based_on    TEXT,
    size        INTEGER NOT NULL,
    entries     INTEGER NOT NULL,
    troubles    INTEGER,                                        -- NULL: complete
    state       INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2), -- present, trashed, purged
    state_at    INTEGER,
    purge_after INTEGER,
    hold_reason TEXT,
    hold_by     TEXT,
    hold_since  INTEGER,
    run         TEXT NOT NULL
) STRICT;
CREATE INDEX backups_by_workload ON backups (workload, created);
CREATE INDEX backups_by_created ON backups (created);

-- One row per object a backup ever had at a place; at most one of them is current.
CREATE TABLE copies (
    id       INTEGER PRIMARY KEY,
    backup   INTEGER NOT NULL REFERENCES backups (id) ON DELETE CASCADE,
    place    TEXT NOT NULL,
    snapshot BLOB NOT NULL CHECK (length(snapshot) = 32),
    state    INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),    -- present, trashed, lost, purged
    stored   INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    level    INTEGER CHECK (level BETWEEN 0 AND 5),             -- where the proofs leave it; kept beside them
    current  INTEGER NOT NULL DEFAULT 1 CHECK (current IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX copies_current ON copies (backup, place) WHERE current = 1;
CREATE INDEX copies_by_backup ON copies (backup);

-- In the order in which they were recorded, which a clock that jumps cannot change.
CREATE TABLE proofs (
    id         INTEGER PRIMARY KEY,
    copy       INTEGER NOT NULL REFERENCES copies (id) ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    level      INTEGER NOT NULL CHECK (level BETWEEN 0 AND 5),
    passed     INTEGER NOT NULL CHECK (passed IN (0, 1)),
    kind       INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),   -- write, verify, dr-test, restore
    took       INTEGER NOT NULL,
    sample_ppm INTEGER NOT NULL,
    run        TEXT NOT NULL,
    detail     TEXT NOT NULL
) STRICT;
CREATE INDEX proofs_by_copy ON proofs (copy);
CREATE INDEX proofs_by_at ON proofs (at);

CREATE TABLE runs (
    id       TEXT PRIMARY KEY,
    verb     TEXT NOT NULL,
    workload TEXT,
    plan     TEXT NOT NULL,                                     -- JSON
    started  INTEGER NOT NULL,
    finished INTEGER,
    outcome  TEXT,
    by       TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_started ON runs (started);
CREATE INDEX runs_open ON runs (started) WHERE finished IS NULL;

CREATE TABLE events (
    run  TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    body TEXT NOT NULL,                                         -- JSON
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- A row stays when its lease ends: the epoch of a key never starts again.
CREATE TABLE leases (
    key      TEXT PRIMARY KEY,
    owner    TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    held     INTEGER NOT NULL CHECK (held IN (0, 1)),
    acquired INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    ttl      INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    by      TEXT NOT NULL,
    verb    TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason  TEXT NOT NULL,
    details TEXT NOT NULL,                                      -- JSON
    hash    BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_at ON audit (at);
-- The newest entry's number and hash once more, so that cutting the end off shows.
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps_entries BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_all BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
-- INSERT OR REPLACE deletes without firing the trigger above.
CREATE TRIGGER audit_replaces_nothing BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Alerts that still have to be delivered.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY,
    token        TEXT NOT NULL UNIQUE,                          -- the same alert is raised once
    raised       INTEGER NOT NULL,
    severity     TEXT NOT NULL,
    subject      TEXT NOT NULL,
    body         TEXT NOT NULL,                                 -- JSON
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL,
    last_error   TEXT,
    delivered    INTEGER
) STRICT;
CREATE INDEX outbox_due ON outbox (next_attempt) WHERE delivered IS NULL;

CREATE TABLE pack_checks (
    vault TEXT NOT NULL,
    pack  TEXT NOT NULL,
    at    INTEGER NOT NULL,
    ok    INTEGER NOT NULL CHECK (ok IN (0, 1)),
    PRIMARY KEY (vault, pack)
) STRICT, WITHOUT ROWID;

CREATE TABLE replications (
    id            INTEGER PRIMARY KEY,
    run           TEXT NOT NULL,
    backup        TEXT NOT NULL,
    workload      TEXT NOT NULL,
    from_place    TEXT NOT NULL,
    to_place      TEXT NOT NULL,
    source_region TEXT NOT NULL,
    target_region TEXT NOT NULL,
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3), -- pending, in_progress, completed, failed
    started       INTEGER NOT NULL,
    updated       INTEGER NOT NULL,
    completed     INTEGER,
    bytes         INTEGER NOT NULL DEFAULT 0,
    total         INTEGER,
    snapshot      BLOB,
    error         TEXT,
    UNIQUE (run, backup, to_place)
) STRICT;
CREATE INDEX replications_by_backup ON replications (backup);
CREATE INDEX replications_by_workload ON replications (workload);
CREATE INDEX replications_by_state ON replications (state);
CREATE INDEX replications_by_target ON replications (target_region);

CREATE TABLE rehearsals (
    id         INTEGER PRIMARY KEY,
    run        TEXT NOT NULL,
    workload   TEXT NOT NULL,
    backup     TEXT NOT NULL,
    place      TEXT NOT NULL,
    started    INTEGER NOT NULL,
    completed  INTEGER,
    passed     INTEGER NOT NULL CHECK (passed IN (0, 1)),
    restore_ok INTEGER,
    compare_ok INTEGER,
    health_ok  INTEGER,
    cleanup_ok INTEGER,
    rto        INTEGER,
    rto_target INTEGER NOT NULL,
    error      TEXT,
    UNIQUE (run, workload, backup, place)
) STRICT;
CREATE INDEX rehearsals_by_workload ON rehearsals (workload, started);
CREATE INDEX rehearsals_by_started ON rehearsals (started);

CREATE TABLE orphans (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    container    TEXT NOT NULL,
    run          TEXT,
    noted        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_attempt INTEGER,
    last_error   TEXT,
    settled      INTEGER
) STRICT;
CREATE UNIQUE INDEX orphans_open ON orphans (kind, name, container) WHERE settled IS NULL;

-- The highest wall clock ever seen.
CREATE TABLE trusted_time (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    highest INTEGER NOT NULL
) STRICT;

-- A cache: the standing of each workload as JSON, NULL when something changed since. Triggers mark it, so that no
-- writer, not even a person with a SQL prompt, can forget to.
CREATE TABLE standings (
    workload TEXT PRIMARY KEY,
    body     TEXT
) STRICT, WITHOUT ROWID;

CREATE TRIGGER backups_inserted AFTER INSERT ON backups BEGIN
    INSERT INTO standings (workload, body) VALUES (NEW.workload, NULL)
    ON CONFLICT (workload) DO UPDATE SET body = NULL WHERE body IS NOT NULL;
END;
CREATE TRIGGER backups_updated AFTER UPDATE ON backups BEGIN
    INSERT INTO standings (workload, body) VALUES (NEW.workload, NULL), (OLD.workload, NULL)
    ON CONFLICT (workload) DO UPDATE SET body = NULL WHERE body IS NOT NULL;
END;
CREATE TRIGGER backups_deleted AFTER DELETE ON backups BEGIN
    UPDATE standings SET body = NULL WHERE workload = OLD.workload AND body IS NOT NULL;
END;
CREATE TRIGGER copies_inserted AFTER INSERT ON copies BEGIN
    UPDATE standings SET body = NULL
    WHERE workload = (SELECT workload FROM backups WHERE id = NEW.backup) AND body IS NOT NULL;
END;
CREATE TRIGGER copies_updated AFTER UPDATE ON copies BEGIN
    UPDATE standings SET body = NULL
    WHERE workload = (SELECT workload FROM backups WHERE id = NEW.backup) AND body IS NOT NULL;
END;
CREATE TRIGGER copies_deleted AFTER DELETE ON copies BEGIN
    UPDATE standings SET body = NULL
    WHERE workload = (SELECT workload FROM backups WHERE id = OLD.backup) AND body IS NOT NULL;
END;
CREATE TRIGGER proofs_inserted AFTER INSERT ON proofs BEGIN
    UPDATE standings SET body = NULL
    WHERE workload = (SELECT b.workload FROM copies c JOIN backups b ON b.id = c.backup WHERE c.id = NEW.copy)
      AND body IS NOT NULL;
END;
CREATE TRIGGER proofs_updated AFTER UPDATE ON proofs BEGIN
    UPDATE standings SET body = NULL
    WHERE workload = (SELECT b.workload FROM copies c JOIN backups b ON b.id = c.backup WHERE c.id = NEW.copy)
      AND body IS NOT NULL;
END;
CREATE TRIGGER proofs_deleted AFTER DELETE ON proofs BEGIN
    UPDATE standings SET body = NULL
    WHERE workload = (SELECT b.workload FROM copies c JOIN backups b ON b.id = c.backup WHERE c.id = OLD.copy)
      AND body IS NOT NULL;
END;
CREATE TRIGGER rehearsals_inserted AFTER INSERT ON rehearsals BEGIN
    UPDATE standings SET body = NULL WHERE workload = NEW.workload AND body IS NOT NULL;
END;
CREATE TRIGGER rehearsals_updated AFTER UPDATE ON rehearsals BEGIN
    UPDATE standings SET body = NULL WHERE workload = NEW.workload AND body IS NOT NULL;
END;

-- What operators' SQL expects, by the names it expects. A backup keeps its name at every place, hence both columns.
CREATE VIEW replication_jobs AS SELECT
    id,
    backup AS source_snapshot,
    backup AS target_snapshot,
    source_region,
    target_region,
    '' AS source_resource_group,
    '' AS target_resource_group,
    CASE state WHEN 0 THEN 'pending' WHEN 1 THEN 'in_progress' WHEN 2 THEN 'completed' ELSE 'failed' END AS status,
    strftime('%Y-%m-%dT%H:%M:%fZ', started / 1e6, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', completed / 1e6, 'unixepoch') AS completed_at,
    error AS error_message,
    strftime('%Y-%m-%dT%H:%M:%fZ', started / 1e6, 'unixepoch') AS created_at,
    bytes AS bytes_done,
    total AS bytes_total,
    run
FROM replications;

-- A failed check says that its level was not reached and nothing about the levels below: these are NULL.
CREATE VIEW verifications AS SELECT
    p.id AS id,
    b.name AS backup_name,
    b.workload AS vm_name,
    strftime('%Y-%m-%dT%H:%M:%fZ', p.at / 1e6, 'unixepoch') AS verified_at,
    p.passed AS success,
    CASE WHEN p.passed = 1 AND p.level >= 1 THEN 1 WHEN p.passed = 0 AND p.level = 1 THEN 0 END AS disk_readable,
    CASE WHEN p.passed = 1 THEN 1 WHEN p.level = 0 THEN 0 END AS size_matches,
    CASE WHEN p.passed = 1 AND p.level >= 2 THEN 1 WHEN p.passed = 0 AND p.level = 2 THEN 0 END AS test_disk_created,
    CASE WHEN p.passed = 1 AND p.level >= 2 THEN 1 END AS test_disk_deleted,
    CASE WHEN p.passed = 0 THEN p.detail END AS error_message,
    p.took / 1000.0 AS verification_time_seconds,
    strftime('%Y-%m-%dT%H:%M:%fZ', p.at / 1e6, 'unixepoch') AS created_at,
    c.place AS place,
    'L' || p.level AS level,
    p.sample_ppm AS sample_ppm,
    p.run AS run
FROM proofs p JOIN copies c ON c.id = p.copy JOIN backups b ON b.id = c.backup
WHERE p.kind = 1;

CREATE VIEW dr_tests AS SELECT
    id,
    workload AS vm_name,
    backup AS backup_name,
    place AS test_region,
    strftime('%Y-%m-%dT%H:%M:%fZ', started / 1e6, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', completed / 1e6, 'unixepoch') AS completed_at,
    passed AS success,
    restore_ok AS restore_succeeded,
    compare_ok AS boot_succeeded,
    health_ok AS connectivity_succeeded,
    cleanup_ok AS cleanup_succeeded,
    rto / 1000.0 AS rto_seconds,
    error AS error_message,
    strftime('%Y-%m-%dT%H:%M:%fZ', started / 1e6, 'unixepoch') AS created_at,
    rto_target / 1000.0 AS rto_target_seconds,
    run
FROM rehearsals;

CREATE VIEW orphaned_resources AS SELECT
    id,
    kind AS type,
    name,
    container AS resource_group,
    strftime('%Y-%m-%dT%H:%M:%fZ', noted / 1e6, 'unixepoch') AS created_at,
    attempts > 0 AS cleanup_attempted,
    strftime('%Y-%m-%dT%H:%M:%fZ', last_attempt / 1e6, 'unixepoch') AS last_cleanup_attempt,
    attempts AS cleanup_attempts,
    last_error AS error_message,
    run
FROM orphans WHERE settled IS NULL;
