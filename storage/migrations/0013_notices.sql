ALTER TABLE jobs ADD COLUMN audio_track INTEGER CHECK (audio_track >= 1);
ALTER TABLE jobs ADD COLUMN vad INTEGER NOT NULL DEFAULT 1 CHECK (vad IN (0, 1));
-- JSON, as `spans`; empty for chunks that an older version planned.
ALTER TABLE chunks ADD COLUMN speech TEXT NOT NULL DEFAULT '[]';
-- JSON, sentences about the recording that the user should know; a restart finds them again.
ALTER TABLE jobs ADD COLUMN notices TEXT NOT NULL DEFAULT '[]';
