-- Messages about incidents beside those about alerts, and what receivers are known to take.

ALTER TABLE webhooks ADD COLUMN grouping TEXT NOT NULL DEFAULT 'none';
-- Messages a minute; NULL: as they come.
ALTER TABLE webhooks ADD COLUMN rate BIGINT;
-- JSON: of lists of type, area and group; severities are in a column of their own.
ALTER TABLE webhooks ADD COLUMN filter TEXT NOT NULL DEFAULT '{}';
-- Wall clock until which the receiver asked for quiet, or is expected to be down.
ALTER TABLE webhooks ADD COLUMN paused_until BIGINT;
-- Since the last success: the first failure, and how many.
ALTER TABLE webhooks ADD COLUMN failing_since BIGINT;
ALTER TABLE webhooks ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;

CREATE TABLE deliveries_anew (
    -- The webhook-id: hash of webhook, alert, number of the transition; or of webhook, incident, number of the message. One that
    -- is still open has a name of its own until it is sealed.
    id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    webhook TEXT NOT NULL,
    -- What is told in order: the incident; the alert, where an older riskgrid told of it.
    thread TEXT NOT NULL,
    incident TEXT,
    alert TEXT,
    number BIGINT,
    message BIGINT,
    -- How many changes it tells of.
    changes BIGINT NOT NULL,
    type TEXT NOT NULL,
    -- Fixed when sealed: each attempt sends the same bytes. Empty while open.
    body TEXT NOT NULL,
    -- open, pending, delivered, dead
    state TEXT NOT NULL,
    -- Since it was queued or replayed.
    attempts BIGINT NOT NULL,
    -- Of these, answers that say that the message itself is not taken.
    refusals BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sealed_at BIGINT,
    delivered_at BIGINT,
    -- When it was delivered or given up, wall clock.
    settled_at BIGINT,
    -- Of the newest attempt.
    status BIGINT,
    error TEXT,
    truncated BIGINT NOT NULL,
    -- How many times it was told before without a change; NULL: it tells of one.
    repeat BIGINT
);
INSERT INTO deliveries_anew (id, seq, webhook, thread, incident, alert, number, changes, type, body, state, attempts, refusals,
        next_attempt_at, created_at, sealed_at, delivered_at, settled_at, truncated)
    SELECT deliveries.id, deliveries.seq, deliveries.webhook, COALESCE(alerts.incident, deliveries.alert), alerts.incident,
        deliveries.alert, deliveries.number, 1, deliveries.type, deliveries.body, deliveries.state, deliveries.attempts, 0,
        deliveries.next_attempt_at, deliveries.created_at, deliveries.created_at, deliveries.delivered_at,
        deliveries.settled_at, 0
      FROM deliveries LEFT JOIN alerts ON alerts.id = deliveries.alert;
DROP TABLE deliveries;
ALTER TABLE deliveries_anew RENAME TO deliveries;
CREATE INDEX deliveries_waiting ON deliveries (webhook, thread, seq) WHERE state IN ('open', 'pending');
CREATE INDEX deliveries_next ON deliveries (next_attempt_at) WHERE state IN ('open', 'pending');
CREATE INDEX deliveries_of_webhook ON deliveries (webhook, seq);
CREATE INDEX deliveries_of_alert ON deliveries (alert);
CREATE INDEX deliveries_settled ON deliveries (state, settled_at);

-- What an open message will tell of.
CREATE TABLE delivery_changes (
    delivery BIGINT NOT NULL,
    alert TEXT NOT NULL,
    number BIGINT NOT NULL,
    is_end BIGINT NOT NULL,
    -- 1 minor to 4 critical
    severity BIGINT NOT NULL,
    at BIGINT NOT NULL,
    is_late BIGINT NOT NULL,
    PRIMARY KEY (delivery, alert, number)
);

-- Who was told that an alert began: they are told its end.
CREATE TABLE alerts_told (
    alert TEXT NOT NULL,
    webhook TEXT NOT NULL,
    PRIMARY KEY (alert, webhook)
);
INSERT INTO alerts_told (alert, webhook)
    SELECT DISTINCT deliveries.alert, deliveries.webhook FROM deliveries JOIN alerts ON alerts.id = deliveries.alert
     WHERE alerts.resolved_at IS NULL;

-- What a webhook was told of an incident.
CREATE TABLE incident_notices (
    webhook TEXT NOT NULL,
    incident TEXT NOT NULL,
    -- Sealed so far.
    messages BIGINT NOT NULL,
    -- When the newest was sealed, wall clock.
    last_at BIGINT NOT NULL,
    -- The highest that was told, 1 minor to 4 critical.
    severity BIGINT NOT NULL,
    -- How often it was told again without a change.
    repeats BIGINT NOT NULL,
    PRIMARY KEY (webhook, incident)
);
CREATE INDEX incident_notices_of ON incident_notices (incident);
CREATE INDEX incident_notices_last ON incident_notices (last_at);

-- Which areas are in emergency because somebody said so.
CREATE TABLE modes (
    area TEXT PRIMARY KEY,
    mode TEXT NOT NULL,
    until BIGINT,
    reason TEXT,
    made_by TEXT NOT NULL,
    set_at BIGINT NOT NULL
);

CREATE INDEX alerts_open_of_severity ON alerts (severity, fired_at) WHERE resolved_at IS NULL;
