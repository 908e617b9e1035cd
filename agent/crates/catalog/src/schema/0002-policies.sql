-- Version 2: what policies decided, how they fare, what waits for a second person, and alerts on their way.
-- Closed sets are words here, as the program prints them.

CREATE TABLE decisions (
    id         INTEGER PRIMARY KEY,                             -- in the order of recording
    at         INTEGER NOT NULL,
    size       INTEGER NOT NULL,                                -- bytes of the texts below
    policy     TEXT NOT NULL,
    world      TEXT NOT NULL,                                   -- retention, validation, alert-sink, health-check
    function   TEXT NOT NULL,                                   -- tiers, release, check, deliver
    mode       TEXT NOT NULL,                                   -- shadow, canary, active
    canary     INTEGER CHECK (canary BETWEEN 1 AND 99),         -- percent, with the mode canary
    workload   TEXT,
    generation TEXT NOT NULL,
    component  TEXT NOT NULL,                                   -- SHA-256; empty when it could not be read
    effect     TEXT NOT NULL,
    diverged   INTEGER NOT NULL CHECK (diverged IN (0, 1)),
    took       INTEGER NOT NULL,
    fuel       INTEGER NOT NULL,
    part       INTEGER REFERENCES question_parts (id),
    member     TEXT,                                            -- which member of the question the part is
    question   TEXT NOT NULL,                                   -- JSON, without that member
    answer     TEXT,                                            -- JSON; NULL when there was a fault
    fault      TEXT,                                            -- JSON; NULL when there was an answer
    log        TEXT NOT NULL,                                   -- JSON
    CHECK ((answer IS NULL) <> (fault IS NULL)),
    CHECK ((part IS NULL) = (member IS NULL))
) STRICT;
CREATE INDEX decisions_by_at ON decisions (at, size);
CREATE INDEX decisions_by_policy ON decisions (policy);
CREATE INDEX decisions_by_workload ON decisions (workload);
CREATE INDEX decisions_by_part ON decisions (part) WHERE part IS NOT NULL;

-- The large member of a question, mostly the list of backups: the same for several policies and for as long as
-- nothing about the workload changes, hence stored once.
CREATE TABLE question_parts (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,                                -- BLAKE3 of the body
    size   INTEGER NOT NULL,
    body   TEXT NOT NULL                                        -- JSON
) STRICT;
CREATE INDEX question_parts_by_size ON question_parts (size);

CREATE TABLE policy_standing (
    policy        TEXT PRIMARY KEY,
    component     TEXT NOT NULL,                                -- SHA-256 of what the rest is about
    faults        INTEGER NOT NULL,                             -- in a row, up to now
    last_fault    TEXT,                                         -- JSON
    last_fault_at INTEGER,
    stepped_back  INTEGER,                                      -- since when it is shadow by itself
    why           TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,              -- a number that was given out never means another request
    fingerprint TEXT NOT NULL,
    request     TEXT NOT NULL,                                  -- JSON
    policy      TEXT NOT NULL,
    message     TEXT NOT NULL,
    asked_by    TEXT NOT NULL,
    asked_at    INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'used', 'expired')),
    decided_by  TEXT,
    decided_at  INTEGER,
    reason      TEXT NOT NULL DEFAULT '',
    used_at     INTEGER,
    CHECK (state NOT IN ('approved', 'used') OR decided_by <> asked_by)
) STRICT;
-- At most one for the same request is open.
CREATE UNIQUE INDEX approvals_open ON approvals (fingerprint) WHERE state IN ('pending', 'approved');

-- Version 1 had an outbox of another shape, which nothing was ever put into.
DROP TABLE outbox;
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY,
    alert_id     TEXT NOT NULL,
    grouped      TEXT NOT NULL,                                 -- the same for an alert and for the notice that it is over
    severity     TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    alert        TEXT NOT NULL,                                 -- JSON
    sink         TEXT NOT NULL,                                 -- the policy that delivers it; empty for the fallback alone
    raised       INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'fallback', 'failed')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL,
    last_error   TEXT,
    receipt      TEXT,
    settled      INTEGER,
    UNIQUE (alert_id, sink),                                    -- the same alert goes to a sink once
    CHECK ((state = 'pending') = (settled IS NULL))
) STRICT;
CREATE INDEX outbox_due ON outbox (next_attempt) WHERE state = 'pending';
CREATE INDEX outbox_by_group ON outbox (grouped);

-- What operators' SQL reads.
CREATE VIEW policy_decisions AS SELECT
    d.id AS id,
    strftime('%Y-%m-%dT%H:%M:%fZ', d.at / 1e6, 'unixepoch') AS decided_at,
    d.policy AS policy,
    d.world AS world,
    d.function AS function,
    d.mode || coalesce(' ' || d.canary || ' %', '') AS mode,
    d.workload AS workload,
    CASE WHEN d.part IS NULL THEN d.question ELSE json_set(d.question, '$."' || d.member || '"', json(p.body)) END AS question,
    d.answer AS answer,
    d.fault ->> '$.kind' AS fault,
    d.fault ->> '$.message' AS fault_message,
    d.effect AS effect,
    d.diverged AS diverged,
    d.log AS log,
    d.took / 1000.0 AS took_seconds,
    d.fuel AS fuel,
    d.generation AS generation,
    d.component AS component
FROM decisions d LEFT JOIN question_parts p ON p.id = d.part;

CREATE VIEW alerts AS SELECT
    id,
    alert_id,
    severity,
    alert ->> '$.kind' AS kind,
    alert ->> '$.title' AS title,
    alert ->> '$.workload' AS workload,
    nullif(sink, '') AS sink,
    state,
    attempts,
    strftime('%Y-%m-%dT%H:%M:%fZ', raised / 1e6, 'unixepoch') AS raised_at,
    CASE state WHEN 'pending' THEN strftime('%Y-%m-%dT%H:%M:%fZ', next_attempt / 1e6, 'unixepoch') END AS next_attempt_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', settled / 1e6, 'unixepoch') AS settled_at,
    last_error AS error_message,
    receipt
FROM outbox;
