-- What ends is kept for a time, counted from when the wall clock first saw it ended: event times may be of any year.

ALTER TABLE alerts ADD COLUMN ended_seen_at BIGINT;
CREATE INDEX alerts_open ON alerts (rule_id, fired_at, id) WHERE resolved_at IS NULL;
CREATE INDEX alerts_ended ON alerts (state, ended_seen_at, fired_at);

-- When a delivery was delivered or given up, wall clock.
ALTER TABLE deliveries ADD COLUMN settled_at BIGINT;
CREATE INDEX deliveries_settled ON deliveries (state, settled_at);

-- Rules that are deleted while their alerts are being ended, and a while longer: nothing begins for them any more.
CREATE TABLE rules_deleted (
    id TEXT PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);

-- Webhooks that are deleted while their deliveries are being taken away.
CREATE TABLE webhooks_deleted (
    id TEXT PRIMARY KEY
);

-- What rules on cells remember: the cells that are pending or firing, and (cell 0) the event time they were looked at.
CREATE TABLE rule_cells (
    rule_id TEXT NOT NULL,
    cell BIGINT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (rule_id, cell)
);
