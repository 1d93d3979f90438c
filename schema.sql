-- The current schema, for reading. The database is made by storage/migrations, one after the
-- other, and a test holds the two against each other.

-- Who may sign in. `permissions` is JSON, a list; an administrator needs none.
CREATE TABLE accounts (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    email         TEXT NOT NULL UNIQUE CHECK (email = lower(email)),
    password_hash TEXT NOT NULL,
    admin         INTEGER NOT NULL CHECK (admin IN (0, 1)),
    permissions   TEXT NOT NULL DEFAULT '[]',
    created_at    TEXT NOT NULL,
    disabled_at   TEXT
) STRICT;

-- `hash` is SHA-256 of the session's id; `expires` is seconds since the epoch, here and below.
-- `about` is what the browser called itself.
CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY,
    account    INTEGER NOT NULL REFERENCES accounts (number),
    created_at TEXT NOT NULL,
    expires    REAL NOT NULL
, about TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

CREATE INDEX sessions_of_account ON sessions (account);

-- Keys for programs, likewise hashed.
CREATE TABLE tokens (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    hash         BLOB NOT NULL UNIQUE,
    account      INTEGER NOT NULL REFERENCES accounts (number),
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    expires      REAL,
    last_used_at TEXT,
    revoked_at   TEXT
) STRICT;

CREATE INDEX tokens_of_account ON tokens (account);

-- What this server signs with.
CREATE TABLE keys (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each thing submitted. `number` is the order of arrival and the name in the hub
-- dialect; `id` is the name everywhere else. The columns from `task` to `media_type` are the order
-- as submitted and never change, but for the file's name and type where it is fetched.
CREATE TABLE jobs (
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
    webhook_format     TEXT,  -- the dialect of the payload; likewise
    model_events       INTEGER NOT NULL DEFAULT 0 CHECK (model_events IN (0, 1)),  -- whether the webhook hears of the model, too
    idempotency_key    TEXT UNIQUE,
    channel            TEXT NOT NULL DEFAULT 'native',  -- the door it came in by; the edge gives it its meaning
    owner              INTEGER REFERENCES accounts (number),
    urgent             INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),  -- before those that are not
    source_url         TEXT,
    label              TEXT,
    note               TEXT,
    analysis_language  TEXT,
    translations       TEXT NOT NULL DEFAULT '[]',  -- JSON, ISO 639-1 codes
    speakers           INTEGER NOT NULL DEFAULT 0 CHECK (speakers IN (0, 1)),  -- whether to find out who speaks when
    shared             INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),  -- whether it gets a public page when done
    assisted           INTEGER NOT NULL DEFAULT 0 CHECK (assisted IN (0, 1)),  -- gets `texts`
    media_type         TEXT,
    size_bytes         INTEGER CHECK (size_bytes > 0),  -- NULL until the input is fetched
    detected_language  TEXT,
    duration_secs      REAL CHECK (duration_secs >= 0),
    chunks_total       INTEGER CHECK (chunks_total >= 0),  -- NULL until planned
    chunks_done        INTEGER NOT NULL DEFAULT 0,  -- chunks are done in order
    segments           INTEGER NOT NULL DEFAULT 0,  -- rows in `segments`
    crashes            INTEGER NOT NULL DEFAULT 0,  -- since the last committed chunk
    error              TEXT,
    created_at         TEXT NOT NULL,  -- UTC with milliseconds, as on the wire
    started_at         TEXT,
    completed_at       TEXT,
    stage              TEXT CHECK (stage IN ('fetching', 'decoding', 'transcribing')),  -- NULL while nothing is done for it
    stage_detail       TEXT,
    stage_at           TEXT,
    beat_at            TEXT,  -- the last sign of life
    output_at          TEXT,  -- of the last committed chunk
    heard_by           TEXT,  -- the model that it was given to
    engaged            INTEGER NOT NULL DEFAULT 0,  -- whether it is the one at the engine
    attempt            INTEGER NOT NULL DEFAULT 1,  -- how often it was begun: each restart is another
    audio_track        INTEGER CHECK (audio_track >= 1),  -- as submitted; NULL: the container's default
    vad                INTEGER NOT NULL DEFAULT 1 CHECK (vad IN (0, 1)),  -- whether sound that is no speech is left out
    notices            TEXT NOT NULL DEFAULT '[]',  -- JSON, sentences about the recording
    secs_by_language   TEXT NOT NULL DEFAULT '{}',  -- JSON, seconds of the transcript by language
    quality            TEXT NOT NULL DEFAULT 'balanced' CHECK (quality IN ('fast', 'balanced', 'best')),
    languages          TEXT NOT NULL DEFAULT '[]',  -- JSON, those that may be spoken where language is NULL; empty: any
    CHECK ((completed_at IS NOT NULL) = (status IN ('done', 'failed', 'cancelled'))),
    CHECK ((error IS NOT NULL) = (status = 'failed')),
    CHECK ((webhook_url IS NULL) = (webhook_format IS NULL)),
    CHECK (size_bytes IS NOT NULL OR source_url IS NOT NULL),
    CHECK (size_bytes IS NOT NULL OR chunks_total IS NULL),
    CHECK (stage IS NULL OR completed_at IS NULL),
    CHECK (chunks_done BETWEEN 0 AND coalesce(chunks_total, 0)),
    CHECK (status <> 'done' OR chunks_done = chunks_total)
) STRICT;

CREATE INDEX jobs_waiting ON jobs (number) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_of_owner ON jobs (owner, number);
CREATE INDEX jobs_engaged ON jobs (engaged) WHERE engaged;

-- What happened to a job, for people.
CREATE TABLE job_log (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    at         TEXT NOT NULL,
    line       TEXT NOT NULL
) STRICT;

CREATE INDEX job_log_of_job ON job_log (job_number);

-- The plan of a job: what each inference call hears. `spans` is JSON, [[start, end], …] in
-- samples at 16 kHz.
CREATE TABLE chunks (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    ordinal    INTEGER NOT NULL CHECK (ordinal >= 0),
    spans      TEXT NOT NULL,
    speech     TEXT NOT NULL DEFAULT '[]',  -- where somebody speaks in them, likewise
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
    language   TEXT,                  -- what the engine heard; NULL from older versions
    evidence   TEXT,                  -- JSON, what speaks for the text; NULL from older versions
    PRIMARY KEY (job_number, position)
) STRICT, WITHOUT ROWID;

-- What the engine wrote and the transcript does not have.
CREATE TABLE left_out (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    start_secs REAL NOT NULL CHECK (start_secs >= 0),
    end_secs   REAL NOT NULL CHECK (end_secs >= start_secs),
    text       TEXT NOT NULL,
    reason     TEXT NOT NULL
) STRICT;

CREATE INDEX left_out_of_job ON left_out (job_number);

-- What people change in a transcript: each edit is a step that can be undone, over one line or more.
CREATE TABLE edits (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('edit', 'undo', 'redo')),
    account    INTEGER REFERENCES accounts (number),
    at         TEXT NOT NULL
) STRICT;

CREATE INDEX edits_of_job ON edits (job_number, number);

-- A line as an edit left it. Lines are numbered as the segments that they were at first; those that
-- people add have numbers after them. `words` as in `segments`.
CREATE TABLE line_versions (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    line       INTEGER NOT NULL CHECK (line >= 0),
    edit       INTEGER NOT NULL REFERENCES edits (number) ON DELETE CASCADE,
    start_secs REAL NOT NULL CHECK (start_secs >= 0),
    end_secs   REAL NOT NULL CHECK (end_secs >= start_secs),
    text       TEXT NOT NULL,
    words      TEXT NOT NULL,
    language   TEXT,
    speaker    TEXT,
    gone       INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),      -- whether the transcript does not have it
    original   INTEGER NOT NULL DEFAULT 0 CHECK (original IN (0, 1)),  -- whether it is as the engine wrote it
    newest     INTEGER NOT NULL DEFAULT 1 CHECK (newest IN (0, 1)),
    PRIMARY KEY (job_number, line, edit)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX line_versions_newest ON line_versions (job_number, line) WHERE newest;
CREATE INDEX line_versions_of_edit ON line_versions (edit);

-- All segments as they read now, to be searched; no segment's position needs more than 24 bits.
CREATE VIRTUAL TABLE spoken USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');

CREATE TRIGGER segment_spoken AFTER INSERT ON segments BEGIN
    INSERT INTO spoken (rowid, text) VALUES (new.job_number << 24 | new.position, new.text);
END;

CREATE TRIGGER segment_gone AFTER DELETE ON segments BEGIN
    DELETE FROM spoken WHERE rowid = old.job_number << 24 | old.position;
END;

CREATE TRIGGER line_changed AFTER INSERT ON line_versions BEGIN
    DELETE FROM spoken WHERE rowid = new.job_number << 24 | new.line;
    INSERT INTO spoken (rowid, text)
    SELECT new.job_number << 24 | new.line, new.text WHERE NOT new.gone;
END;

CREATE TRIGGER line_forgotten AFTER DELETE ON line_versions BEGIN
    DELETE FROM spoken WHERE rowid = old.job_number << 24 | old.line;
END;

-- How loud a recording is, from its beginning to its end: equal parts, 0 to 255 each.
CREATE TABLE waveforms (
    job_number INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
    levels     BLOB NOT NULL
) STRICT;

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
    tried_at     TEXT,                -- the last one
    delivered_at TEXT,
    authority    TEXT GENERATED ALWAYS AS (
    lower(substr(url, 1, 7 + instr(replace(replace(substr(url, 9), '?', '/'), '#', '/') || '/', '/')))
) VIRTUAL,                            -- the URL up to its path
    origin       TEXT GENERATED ALWAYS AS (
    iif(
        instr(authority, '@') > 0,
        substr(authority, 1, instr(authority, '//') + 1) || substr(authority, instr(authority, '@') + 1),
        authority
    )
) VIRTUAL,                            -- its scheme, host and port
    CHECK ((job_number IS NOT NULL) = (event = 'job_ended')),
    CHECK (delivered_at IS NULL OR due IS NULL)
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due) WHERE due IS NOT NULL;
CREATE INDEX deliveries_due_by_origin ON deliveries (origin, due) WHERE due IS NOT NULL;
CREATE INDEX deliveries_of_job ON deliveries (job_number) WHERE job_number IS NOT NULL;

-- Public pages. `token` is the secret in their address.
CREATE TABLE shares (
    token            TEXT PRIMARY KEY,
    job_number       INTEGER NOT NULL UNIQUE REFERENCES jobs (number) ON DELETE CASCADE,
    created_at       TEXT NOT NULL,
    expires          REAL,
    password_hash    TEXT,
    with_audio       INTEGER NOT NULL DEFAULT 0 CHECK (with_audio IN (0, 1)),
    access_count     INTEGER NOT NULL DEFAULT 0,
    last_accessed_at TEXT
, with_downloads INTEGER NOT NULL DEFAULT 1 CHECK (with_downloads IN (0, 1))) STRICT, WITHOUT ROWID;

-- What a language model makes of a transcript, each text in one language. An older `text` stays
-- until a newer one is done; `tokens` are those of all tries.
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

-- Who speaks when. `turns` is JSON, [[start, end, label], …] in seconds of the file.
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

-- What people call the speakers that were told apart.
CREATE TABLE speaker_names (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    label      TEXT NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (job_number, label)
) STRICT, WITHOUT ROWID;

-- What an account has had of what is limited by the day: a deleted job gives nothing back.
CREATE TABLE usage (
    account    INTEGER NOT NULL REFERENCES accounts (number),
    at         TEXT NOT NULL,
    audio_secs REAL NOT NULL DEFAULT 0,
    tokens     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX usage_of_account ON usage (account, at);

-- The transcripts as they read now.
CREATE VIEW lines AS
SELECT s.job_number, s.position AS line, coalesce(v.edit, 0) AS version,
    coalesce(v.start_secs, s.start_secs) AS start_secs, coalesce(v.end_secs, s.end_secs) AS end_secs,
    coalesce(v.text, s.text) AS text, coalesce(v.words, s.words) AS words, s.language, s.repair,
    s.evidence, coalesce(n.name, v.speaker) AS speaker, coalesce(NOT v.original, 0) AS corrected
FROM segments s
LEFT JOIN line_versions v ON v.job_number = s.job_number AND v.line = s.position AND v.newest
LEFT JOIN speaker_names n ON n.job_number = v.job_number AND n.label = v.speaker
WHERE coalesce(v.gone, 0) = 0
UNION ALL
SELECT v.job_number, v.line, v.edit, v.start_secs, v.end_secs, v.text, v.words, v.language, NULL,
    NULL, coalesce(n.name, v.speaker), 1
FROM line_versions v JOIN jobs j ON j.number = v.job_number
LEFT JOIN speaker_names n ON n.job_number = v.job_number AND n.label = v.speaker
WHERE v.newest AND NOT v.gone AND v.line >= j.segments;
