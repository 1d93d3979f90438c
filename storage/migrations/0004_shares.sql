CREATE TABLE shares (
    token            TEXT PRIMARY KEY,
    job_number       INTEGER NOT NULL UNIQUE REFERENCES jobs (number) ON DELETE CASCADE,
    created_at       TEXT NOT NULL,
    expires          REAL,
    password_hash    TEXT,
    with_audio       INTEGER NOT NULL DEFAULT 0 CHECK (with_audio IN (0, 1)),
    access_count     INTEGER NOT NULL DEFAULT 0,
    last_accessed_at TEXT
) STRICT, WITHOUT ROWID;
