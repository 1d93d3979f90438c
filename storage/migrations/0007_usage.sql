CREATE TABLE usage (
    account    INTEGER NOT NULL REFERENCES accounts (number),
    at         TEXT NOT NULL,
    audio_secs REAL NOT NULL DEFAULT 0,
    tokens     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX usage_of_account ON usage (account, at);
