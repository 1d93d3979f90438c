-- Whom the end of the server is to be charged to: not to every job that is under way.
ALTER TABLE jobs ADD COLUMN engaged INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_engaged ON jobs (engaged) WHERE engaged;
