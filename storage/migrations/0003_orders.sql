-- Jobs get owners, and inputs that are still to be fetched: a column loses its NOT NULL, which
-- SQLite does by a new table. The outbox notes its last try.
CREATE TABLE new_jobs (
    number             INTEGER PRIMARY KEY AUTOINCREMENT,
    id                 TEXT NOT NULL UNIQUE,
    status             TEXT NOT NULL DEFAULT 'queued'
                       CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    task               TEXT NOT NULL CHECK (task IN ('transcribe', 'translate')),
    language           TEXT,
    model              TEXT,
    prompt             TEXT,
    word_timestamps    INTEGER NOT NULL CHECK (word_timestamps IN (0, 1)),
    filename           TEXT,
    webhook_url        TEXT,
    webhook_format     TEXT,
    model_events       INTEGER NOT NULL DEFAULT 0 CHECK (model_events IN (0, 1)),
    idempotency_key    TEXT UNIQUE,
    channel            TEXT NOT NULL DEFAULT 'native',
    owner              INTEGER REFERENCES accounts (number),
    urgent             INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
    source_url         TEXT,
    label              TEXT,
    note               TEXT,
    analysis_language  TEXT,
    translations       TEXT NOT NULL DEFAULT '[]',
    speakers           INTEGER NOT NULL DEFAULT 0 CHECK (speakers IN (0, 1)),
    shared             INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),
    assisted           INTEGER NOT NULL DEFAULT 0 CHECK (assisted IN (0, 1)),
    media_type         TEXT,
    size_bytes         INTEGER CHECK (size_bytes > 0),
    detected_language  TEXT,
    duration_secs      REAL CHECK (duration_secs >= 0),
    chunks_total       INTEGER CHECK (chunks_total >= 0),
    chunks_done        INTEGER NOT NULL DEFAULT 0,
    segments           INTEGER NOT NULL DEFAULT 0,
    crashes            INTEGER NOT NULL DEFAULT 0,
    error              TEXT,
    created_at         TEXT NOT NULL,
    started_at         TEXT,
    completed_at       TEXT,
    stage              TEXT CHECK (stage IN ('fetching', 'decoding', 'transcribing')),
    stage_detail       TEXT,
    stage_at           TEXT,
    beat_at            TEXT,
    output_at          TEXT,
    CHECK ((completed_at IS NOT NULL) = (status IN ('done', 'failed', 'cancelled'))),
    CHECK ((error IS NOT NULL) = (status = 'failed')),
    CHECK ((webhook_url IS NULL) = (webhook_format IS NULL)),
    CHECK (size_bytes IS NOT NULL OR source_url IS NOT NULL),
    CHECK (size_bytes IS NOT NULL OR chunks_total IS NULL),
    CHECK (stage IS NULL OR completed_at IS NULL),
    CHECK (chunks_done BETWEEN 0 AND coalesce(chunks_total, 0)),
    CHECK (status <> 'done' OR chunks_done = chunks_total)
) STRICT;

INSERT INTO new_jobs (number, id, status, task, language, model, prompt, word_timestamps, filename,
                      webhook_url, webhook_format, model_events, idempotency_key, size_bytes,
                      detected_language, duration_secs, chunks_total, chunks_done, segments, crashes, error,
                      created_at, completed_at)
SELECT number, id, status, task, language, model, prompt, word_timestamps, filename,
       webhook_url, webhook_format, webhook_url IS NOT NULL, idempotency_key, size_bytes,
       detected_language, duration_secs, chunks_total, chunks_done, segments, crashes, error,
       created_at, completed_at
FROM jobs;

DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;

CREATE INDEX jobs_waiting ON jobs (number) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_of_owner ON jobs (owner, number);

CREATE TABLE job_log (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    at         TEXT NOT NULL,
    line       TEXT NOT NULL
) STRICT;

CREATE INDEX job_log_of_job ON job_log (job_number);

CREATE TABLE new_deliveries (
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
    tried_at     TEXT,
    delivered_at TEXT,
    CHECK ((job_number IS NOT NULL) = (event = 'job_ended')),
    CHECK (delivered_at IS NULL OR due IS NULL)
) STRICT;

INSERT INTO new_deliveries (id, event, url, format, job_number, happened_at, attempts, due,
                            http_status, error, delivered_at)
SELECT id, event, url, format, job_number, happened_at, attempts, due,
       http_status, error, delivered_at
FROM deliveries;

DROP TABLE deliveries;
ALTER TABLE new_deliveries RENAME TO deliveries;

CREATE INDEX deliveries_due ON deliveries (due) WHERE due IS NOT NULL;
CREATE INDEX deliveries_of_job ON deliveries (job_number) WHERE job_number IS NOT NULL;
