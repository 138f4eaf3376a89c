-- Decisions: what people and rules decided, and what has to be told. Times are microseconds since 1970 UTC.
-- Only types and clauses that SQLite and PostgreSQL share, but for BLOB.

CREATE TABLE rules (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    -- JSON list of the severities it wants; empty means all.
    severities TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Set when the receiver answered 410.
    disabled_at BIGINT
);

CREATE TABLE alerts (
    -- Id of the episode.
    id TEXT PRIMARY KEY,
    rule_id TEXT NOT NULL,
    rule TEXT NOT NULL,
    -- Key of the instance within the rule: its sensor or its cell.
    instance TEXT NOT NULL,
    -- firing, acknowledged, resolved
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    layer TEXT NOT NULL,
    sensor TEXT,
    cell BIGINT,
    value DOUBLE PRECISION NOT NULL,
    at BIGINT NOT NULL,
    fired_at BIGINT NOT NULL,
    resolved_at BIGINT,
    acknowledged_at BIGINT,
    evidence TEXT NOT NULL,
    -- JSON list of the names of the webhooks that the rule told.
    webhooks TEXT NOT NULL
);
CREATE INDEX alerts_newest ON alerts (fired_at, id);
CREATE INDEX alerts_by_state ON alerts (state, fired_at, id);
CREATE INDEX alerts_of_instance ON alerts (rule_id, instance, fired_at);

CREATE TABLE transitions (
    alert TEXT NOT NULL,
    -- 1 is the firing.
    number BIGINT NOT NULL,
    -- firing, acknowledged, resolved
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    evidence TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    -- sent (to the outbox), not_sent_stale, not_sent_firing_unsent, none
    notify TEXT NOT NULL,
    PRIMARY KEY (alert, number)
);

CREATE TABLE deliveries (
    -- The webhook-id: hash of webhook, alert, number of the transition.
    id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    webhook TEXT NOT NULL,
    alert TEXT NOT NULL,
    number BIGINT NOT NULL,
    type TEXT NOT NULL,
    -- Fixed when decided: each attempt sends the same bytes.
    body TEXT NOT NULL,
    -- pending, delivered, dead
    state TEXT NOT NULL,
    -- Since it was queued or replayed.
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    delivered_at BIGINT
);
CREATE INDEX deliveries_due ON deliveries (webhook, next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_next ON deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_in_order ON deliveries (webhook, alert, seq);

CREATE TABLE attempts (
    delivery TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    -- HTTP status; NULL when there was no answer.
    status BIGINT,
    latency_ms BIGINT NOT NULL,
    error TEXT,
    PRIMARY KEY (delivery, number)
);

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
