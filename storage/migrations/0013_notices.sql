ALTER TABLE jobs ADD COLUMN audio_track INTEGER CHECK (audio_track >= 1);
-- JSON, sentences about the recording that the user should know; a restart finds them again.
ALTER TABLE jobs ADD COLUMN notices TEXT NOT NULL DEFAULT '[]';
