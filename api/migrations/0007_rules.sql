-- Rules that can be changed: who made which version, how far each was judged; and what alerts know of their rule.

-- Who made the newest version, and when (µs); where it comes from: http, or the file that has it.
ALTER TABLE rules ADD COLUMN author TEXT NOT NULL DEFAULT '';
ALTER TABLE rules ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rules ADD COLUMN origin TEXT NOT NULL DEFAULT 'http';
-- JSON: what its maker could see as it was made; NULL: everything.
ALTER TABLE rules ADD COLUMN scope TEXT;
UPDATE rules SET updated_at = created_at;

CREATE TABLE rule_versions (
    rule_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- As it was then; NULL: it was deleted.
    body TEXT,
    author TEXT NOT NULL,
    at BIGINT NOT NULL,
    comment TEXT,
    PRIMARY KEY (rule_id, version)
);
INSERT INTO rule_versions (rule_id, version, body, author, at)
    SELECT id, version, body, author, created_at FROM rules;

-- How far rules were judged that are judged at times of their own (µs), and how that went.
CREATE TABLE rule_progress (
    rule_id TEXT PRIMARY KEY,
    evaluated_to BIGINT,
    -- Failures since it was judged last; what was wrong with the newest.
    failures BIGINT NOT NULL DEFAULT 0,
    errors BIGINT NOT NULL DEFAULT 0,
    last_error TEXT
);

-- What such rules remember: instances that are pending or firing.
CREATE TABLE rule_instances (
    rule_id TEXT NOT NULL,
    instance TEXT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (rule_id, instance)
);
-- How instances stood before evaluations that late data may still change; NULL: at rest.
CREATE TABLE rule_past (
    rule_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    instance TEXT NOT NULL,
    state BLOB,
    PRIMARY KEY (rule_id, at, instance)
);
DELETE FROM meta WHERE key = 'cell_rules';

-- Alerts whose rule was changed into another one, while they are being ended: those of older versions.
CREATE TABLE rules_changed (
    id TEXT PRIMARY KEY,
    before_version BIGINT NOT NULL,
    reason TEXT NOT NULL
);

ALTER TABLE alerts ADD COLUMN kind TEXT NOT NULL DEFAULT 'threshold';
ALTER TABLE alerts ADD COLUMN rule_version BIGINT NOT NULL DEFAULT 1;
-- What it is gathered in incidents by.
ALTER TABLE alerts ADD COLUMN incident_group TEXT NOT NULL DEFAULT '';
-- JSON: labels of the rule, and ids of the areas that hold it.
ALTER TABLE alerts ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE alerts ADD COLUMN areas TEXT NOT NULL DEFAULT '[]';
-- Why it ended, where the data did not end it.
ALTER TABLE alerts ADD COLUMN reason TEXT;
UPDATE alerts SET incident_group = layer;
CREATE INDEX alerts_of_rule ON alerts (rule, state, fired_at);
