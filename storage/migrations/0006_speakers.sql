CREATE TABLE speakers (
    job_number INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
    status     TEXT NOT NULL DEFAULT 'pending'
               CHECK (status IN ('pending', 'running', 'done', 'failed', 'unavailable')),
    provider   TEXT,
    turns      TEXT NOT NULL DEFAULT '[]',
    error      TEXT,
    tries      INTEGER NOT NULL DEFAULT 0,
    updated_at TEXT NOT NULL,
    CHECK ((error IS NOT NULL) = (status IN ('failed', 'unavailable')))
) STRICT;

CREATE INDEX speakers_open ON speakers (job_number) WHERE status IN ('pending', 'running');
