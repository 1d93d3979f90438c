-- The language that the engine heard in a segment; NULL where an older version transcribed it.
ALTER TABLE segments ADD COLUMN language TEXT;
-- JSON, what speaks for the text; NULL where an older version transcribed it.
ALTER TABLE segments ADD COLUMN evidence TEXT;
