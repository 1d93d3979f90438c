ALTER TABLE jobs ADD COLUMN audio_track INTEGER CHECK (audio_track >= 1);
ALTER TABLE jobs ADD COLUMN vad INTEGER NOT NULL DEFAULT 1 CHECK (vad IN (0, 1));
-- JSON, as `spans`; empty for chunks that an older version planned.
ALTER TABLE chunks ADD COLUMN speech TEXT NOT NULL DEFAULT '[]';
-- JSON, sentences about the recording that the user should know; a restart finds them again.
ALTER TABLE jobs ADD COLUMN notices TEXT NOT NULL DEFAULT '[]';
-- What the engine wrote and the transcript does not have.
CREATE TABLE left_out (
    job_number INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    start_secs REAL NOT NULL CHECK (start_secs >= 0),
    end_secs   REAL NOT NULL CHECK (end_secs >= start_secs),
    text       TEXT NOT NULL,
    reason     TEXT NOT NULL
) STRICT;
CREATE INDEX left_out_of_job ON left_out (job_number);
