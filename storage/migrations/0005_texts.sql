CREATE TABLE texts (
    job_number      INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    kind            TEXT NOT NULL CHECK (kind IN ('analysis', 'translation')),
    language        TEXT NOT NULL,
    status          TEXT NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'running', 'done', 'failed')),
    text            TEXT,
    model           TEXT,
    error           TEXT,
    truncated       INTEGER NOT NULL DEFAULT 0 CHECK (truncated IN (0, 1)),
    tokens          INTEGER NOT NULL DEFAULT 0,
    tries           INTEGER NOT NULL DEFAULT 0,
    updated_at      TEXT NOT NULL,
    PRIMARY KEY (job_number, kind, language),
    CHECK (status <> 'done' OR text IS NOT NULL),
    CHECK ((error IS NOT NULL) = (status = 'failed'))
) STRICT, WITHOUT ROWID;

CREATE INDEX texts_open ON texts (updated_at) WHERE status IN ('pending', 'running');
