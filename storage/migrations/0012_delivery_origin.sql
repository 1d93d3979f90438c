-- Scheme, host and port of a webhook's URL: how many are tried at once is limited by receiver.
ALTER TABLE deliveries ADD COLUMN origin TEXT GENERATED ALWAYS AS (
    CASE WHEN instr(substr(url, 9), '/') > 0
    THEN substr(url, 1, 7 + instr(substr(url, 9), '/')) ELSE url END
) VIRTUAL;
CREATE INDEX deliveries_due_by_origin ON deliveries (origin, due) WHERE due IS NOT NULL;
