-- The model that a job was given to: what the default is may change.
ALTER TABLE jobs ADD COLUMN heard_by TEXT;
