-- The current schema, for reading. The database is made by storage/migrations, one after the
-- other, and a test holds the two against each other.

-- One row for each thing submitted. `number` is the order of arrival; `id` is the public name.
-- The columns from `task` to `size_bytes` are the order as submitted and never change.
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
    webhook_format    TEXT,           -- the dialect of the payload; the edge gives it its meaning
    idempotency_key   TEXT UNIQUE,
    size_bytes        INTEGER NOT NULL CHECK (size_bytes > 0),
    detected_language TEXT,
    duration_secs     REAL CHECK (duration_secs >= 0),
    chunks_total      INTEGER CHECK (chunks_total >= 0),  -- NULL until planned
    chunks_done       INTEGER NOT NULL DEFAULT 0,         -- chunks are done in order
    segments          INTEGER NOT NULL DEFAULT 0,         -- rows in `segments`
    crashes           INTEGER NOT NULL DEFAULT 0,         -- since the last committed chunk
    error             TEXT,
    created_at        TEXT NOT NULL,  -- UTC with milliseconds, as on the wire
    completed_at      TEXT,
    CHECK ((completed_at IS NOT NULL) = (status IN ('done', 'failed', 'cancelled'))),
    CHECK ((error IS NOT NULL) = (status = 'failed')),
    CHECK ((webhook_url IS NULL) = (webhook_format IS NULL)),
    CHECK (chunks_done BETWEEN 0 AND coalesce(chunks_total, 0)),
    CHECK (status <> 'done' OR chunks_done = chunks_total)
) STRICT;

CREATE INDEX jobs_waiting ON jobs (number) WHERE status IN ('queued', 'running');

-- The plan of a job: what each inference call hears. `spans` is JSON, [[start, end], …] in
-- samples at 16 kHz.
CREATE TABLE chunks (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    ordinal    INTEGER NOT NULL CHECK (ordinal >= 0),
    spans      TEXT NOT NULL,
    PRIMARY KEY (job_number, ordinal)
) STRICT, WITHOUT ROWID;

-- The transcript. `words` is JSON, [[text, start, end, probability], …].
CREATE TABLE segments (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    position   INTEGER NOT NULL CHECK (position >= 0),
    start_secs REAL NOT NULL CHECK (start_secs >= 0),
    end_secs   REAL NOT NULL CHECK (end_secs >= start_secs),
    text       TEXT NOT NULL,
    words      TEXT NOT NULL,
    repair     TEXT,                  -- what was done to the engine's text, where anything was
    PRIMARY KEY (job_number, position)
) STRICT, WITHOUT ROWID;

-- The outbox of the webhooks. `due` is seconds since the epoch, NULL when nothing more will be
-- tried: delivered, or given up.
CREATE TABLE deliveries (
    id           TEXT PRIMARY KEY,    -- the webhook-id, the same over all tries
    event        TEXT NOT NULL CHECK (event IN ('job_ended', 'model_ready', 'model_unloaded')),
    url          TEXT NOT NULL,
    format       TEXT NOT NULL,
    job_number   INTEGER REFERENCES jobs (number) ON DELETE CASCADE,
    happened_at  TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    due          REAL,
    http_status  INTEGER,             -- of the last try
    error        TEXT,                -- of the last try
    delivered_at TEXT,
    CHECK ((job_number IS NOT NULL) = (event = 'job_ended')),
    CHECK (delivered_at IS NULL OR due IS NULL)
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due) WHERE due IS NOT NULL;
