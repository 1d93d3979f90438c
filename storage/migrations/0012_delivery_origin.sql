-- Scheme, host and port of a webhook's URL: how many are tried at once is limited by receiver.
-- `authority` ends before the first "/", "?" or "#" of the host; `origin` has no user name or password.
ALTER TABLE deliveries ADD COLUMN authority TEXT GENERATED ALWAYS AS (
    lower(substr(url, 1, 7 + instr(replace(replace(substr(url, 9), '?', '/'), '#', '/') || '/', '/')))
) VIRTUAL;
ALTER TABLE deliveries ADD COLUMN origin TEXT GENERATED ALWAYS AS (
    iif(
        instr(authority, '@') > 0,
        substr(authority, 1, instr(authority, '//') + 1) || substr(authority, instr(authority, '@') + 1),
        authority
    )
) VIRTUAL;
CREATE INDEX deliveries_due_by_origin ON deliveries (origin, due) WHERE due IS NOT NULL;
