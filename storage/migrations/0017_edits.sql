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
    gone       INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1)),
    original   INTEGER NOT NULL DEFAULT 0 CHECK (original IN (0, 1)),
    newest     INTEGER NOT NULL DEFAULT 1 CHECK (newest IN (0, 1)),
    PRIMARY KEY (job_number, line, edit)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX line_versions_newest ON line_versions (job_number, line) WHERE newest;
CREATE INDEX line_versions_of_edit ON line_versions (edit);
INSERT INTO edits SELECT number, job_number, 'edit', account, at FROM corrections;
INSERT INTO line_versions
SELECT c.job_number, c.position, c.number, s.start_secs, s.end_secs, coalesce(c.text, s.text),
    iif(c.text IS NULL, s.words, c.words), s.language, NULL, 0, c.text IS NULL,
    c.number = (SELECT max(number) FROM corrections
                WHERE job_number = c.job_number AND position = c.position)
FROM corrections c JOIN segments s ON s.job_number = c.job_number AND s.position = c.position;
DROP TRIGGER segment_corrected;
DROP TABLE corrections;
CREATE TRIGGER line_changed AFTER INSERT ON line_versions BEGIN
    DELETE FROM spoken WHERE rowid = new.job_number << 24 | new.line;
    INSERT INTO spoken (rowid, text)
    SELECT new.job_number << 24 | new.line, new.text WHERE NOT new.gone;
END;
CREATE TRIGGER line_forgotten AFTER DELETE ON line_versions BEGIN
    DELETE FROM spoken WHERE rowid = old.job_number << 24 | old.line;
END;
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
