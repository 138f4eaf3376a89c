-- Who took an alert and until when; alerts that end without an all-clear; silences and what they hold back.

ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT;
ALTER TABLE alerts ADD COLUMN acknowledged_comment TEXT;
-- Wall clock: then it fires again for somebody else. NULL: for as long as it lasts.
ALTER TABLE alerts ADD COLUMN acknowledged_until BIGINT;
CREATE INDEX alerts_acknowledged_until ON alerts (acknowledged_until) WHERE acknowledged_until IS NOT NULL;

-- An alert ends as resolved or as expired.
DROP INDEX alerts_ended;
CREATE INDEX alerts_ended ON alerts (ended_seen_at, fired_at) WHERE resolved_at IS NOT NULL;

-- Why an alert ended, where the data did not end it.
ALTER TABLE transitions ADD COLUMN reason TEXT;
-- Who took an alert or gave it back, what they said, and the wall clock until when.
ALTER TABLE transitions ADD COLUMN made_by TEXT;
ALTER TABLE transitions ADD COLUMN comment TEXT;
ALTER TABLE transitions ADD COLUMN until BIGINT;
CREATE INDEX transitions_held ON transitions (alert) WHERE notify = 'held';

CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    -- JSON: of lists of rule, layer, kind, severity, and labels.
    matches TEXT NOT NULL,
    -- JSON: one of area, polygon, cells; NULL: everywhere.
    place TEXT,
    starts_at BIGINT NOT NULL,
    -- Brought forward to when somebody ended it.
    ends_at BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    comment TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Beginnings that it held back.
    held BIGINT NOT NULL
);
CREATE INDEX silences_by_end ON silences (ends_at);
