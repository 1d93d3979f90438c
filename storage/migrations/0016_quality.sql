ALTER TABLE jobs ADD COLUMN quality TEXT NOT NULL DEFAULT 'balanced' CHECK (quality IN ('fast', 'balanced', 'best'));
-- JSON, those that may be spoken where `language` is NULL; empty: any.
ALTER TABLE jobs ADD COLUMN languages TEXT NOT NULL DEFAULT '[]';
