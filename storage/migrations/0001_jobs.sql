CREATE TABLE jobs (
    number            INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT NOT NULL UNIQUE,
    status            TEXT NOT NULL DEFAULT 'queued'
                      CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    task              TEXT NOT NULL CHECK (task IN ('transcribe', 'translate')),
    language          TEXT,
    model             TEXT,
    prompt            TEXT,
    word_timestamps   INTEGER NOT NULL CHECK (word_timestamps IN (0, 1)),
    filename          TEXT,
    webhook_url       TEXT,
    webhook_format    TEXT,
    idempotency_key   TEXT UNIQUE,
    size_bytes        INTEGER NOT NULL CHECK (size_bytes > 0),
    detected_language TEXT,
    duration_secs     REAL CHECK (duration_secs >= 0),
    chunks_total      INTEGER CHECK (chunks_total >= 0),
    chunks_done       INTEGER NOT NULL DEFAULT 0,
    segments          INTEGER NOT NULL DEFAULT 0,
    crashes           INTEGER NOT NULL DEFAULT 0,
    error             TEXT,
    created_at        TEXT NOT NULL,
    completed_at      TEXT,
    CHECK ((completed_at IS NOT NULL) = (status IN ('done', 'failed', 'cancelled'))),
    CHECK ((error IS NOT NULL) = (status = 'failed')),
    CHECK ((webhook_url IS NULL) = (webhook_format IS NULL)),
    CHECK (chunks_done BETWEEN 0 AND coalesce(chunks_total, 0)),
    CHECK (status <> 'done' OR chunks_done = chunks_total)
) STRICT;

CREATE INDEX jobs_waiting ON jobs (number) WHERE status IN ('queued', 'running');

CREATE TABLE chunks (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    ordinal    INTEGER NOT NULL CHECK (ordinal >= 0),
    spans      TEXT NOT NULL,
    PRIMARY KEY (job_number, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    position   INTEGER NOT NULL CHECK (position >= 0),
    start_secs REAL NOT NULL CHECK (start_secs >= 0),
    end_secs   REAL NOT NULL CHECK (end_secs >= start_secs),
    text       TEXT NOT NULL,
    words      TEXT NOT NULL,
    repair     TEXT,
    PRIMARY KEY (job_number, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    id           TEXT PRIMARY KEY,
    event        TEXT NOT NULL CHECK (event IN ('job_ended', 'model_ready', 'model_unloaded')),
    url          TEXT NOT NULL,
    format       TEXT NOT NULL,
    job_number   INTEGER REFERENCES jobs (number) ON DELETE CASCADE,
    happened_at  TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    due          REAL,
    http_status  INTEGER,
    error        TEXT,
    delivered_at TEXT,
    CHECK ((job_number IS NOT NULL) = (event = 'job_ended')),
    CHECK (delivered_at IS NULL OR due IS NULL)
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due) WHERE due IS NOT NULL;
