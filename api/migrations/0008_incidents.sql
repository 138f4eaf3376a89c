-- Incidents: alerts of one group that are near each other in place and time.

ALTER TABLE alerts ADD COLUMN incident TEXT;
-- The part of the incident that it is of, so that numbers go on after a restart.
ALTER TABLE alerts ADD COLUMN part BIGINT;
CREATE INDEX alerts_of_incident ON alerts (incident, fired_at, id);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    group_name TEXT NOT NULL,
    -- The clock that its times are of: live, or a historic feed's.
    domain TEXT NOT NULL,
    -- open, closed, merged
    state TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    -- The incident that absorbed it.
    merged_into TEXT,
    next_part BIGINT NOT NULL
);
CREATE INDEX incidents_newest ON incidents (opened_at, id);
CREATE INDEX incidents_merged ON incidents (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX incidents_open ON incidents (group_name, domain) WHERE state = 'open';

-- How far each group was told of the time. The version changes with each transaction that works on the group: what a process
-- remembers of another version is read anew.
CREATE TABLE incident_groups (
    group_name TEXT NOT NULL,
    domain TEXT NOT NULL,
    clock BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (group_name, domain)
);

CREATE TABLE incident_lineage (
    incident TEXT NOT NULL,
    -- 1 is its opening.
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- open, join, absorb, merge, split, close
    kind TEXT NOT NULL,
    part BIGINT,
    -- JSON list of the parts that it was before.
    parts_before TEXT NOT NULL,
    -- The alert that opened or joined; the incident that was absorbed.
    about TEXT,
    PRIMARY KEY (incident, seq)
);
