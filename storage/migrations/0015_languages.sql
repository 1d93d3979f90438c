-- JSON, how many seconds of the transcript are spoken in each language.
ALTER TABLE jobs ADD COLUMN secs_by_language TEXT NOT NULL DEFAULT '{}';
