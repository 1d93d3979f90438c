CREATE TABLE corrections (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    position   INTEGER NOT NULL CHECK (position >= 0),
    text       TEXT,
    words      TEXT NOT NULL DEFAULT '[]',
    account    INTEGER REFERENCES accounts (number),
    at         TEXT NOT NULL
) STRICT;

CREATE INDEX corrections_of_segment ON corrections (job_number, position, number);

CREATE TABLE speaker_names (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    label      TEXT NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (job_number, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE waveforms (
    job_number INTEGER PRIMARY KEY REFERENCES jobs (number) ON DELETE CASCADE,
    levels     BLOB NOT NULL
) STRICT;

ALTER TABLE shares ADD COLUMN
    with_downloads INTEGER NOT NULL DEFAULT 1 CHECK (with_downloads IN (0, 1));

ALTER TABLE sessions ADD COLUMN about TEXT NOT NULL DEFAULT '';

CREATE VIRTUAL TABLE spoken USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');

INSERT INTO spoken (rowid, text) SELECT job_number << 24 | position, text FROM segments;

CREATE TRIGGER segment_spoken AFTER INSERT ON segments BEGIN
    INSERT INTO spoken (rowid, text) VALUES (new.job_number << 24 | new.position, new.text);
END;

CREATE TRIGGER segment_gone AFTER DELETE ON segments BEGIN
    DELETE FROM spoken WHERE rowid = old.job_number << 24 | old.position;
END;

CREATE TRIGGER segment_corrected AFTER INSERT ON corrections BEGIN
    UPDATE spoken SET text = coalesce(new.text, (
        SELECT text FROM segments
        WHERE job_number = new.job_number AND position = new.position
    )) WHERE rowid = new.job_number << 24 | new.position;
END;
