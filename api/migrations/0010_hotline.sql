-- The hotline: what people decide about reports. Times are microseconds since 1970 UTC; lists and objects are JSON.

CREATE TABLE cases (
    -- 26 digits that follow from source and report.
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    -- The number of its newest move.
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    -- own, mirror
    mode TEXT NOT NULL,
    source TEXT NOT NULL,
    report TEXT NOT NULL,
    kind TEXT NOT NULL,
    layer TEXT NOT NULL,
    severity BIGINT NOT NULL,
    channel TEXT NOT NULL,
    lon DOUBLE PRECISION,
    lat DOUBLE PRECISION,
    cell BIGINT,
    place TEXT,
    -- exact, street, area, unlocated
    place_quality TEXT NOT NULL,
    areas TEXT NOT NULL,
    attributes TEXT NOT NULL,
    office TEXT,
    duty_version BIGINT,
    duty_rule TEXT,
    why TEXT NOT NULL,
    excluded TEXT NOT NULL,
    returns BIGINT NOT NULL,
    parent TEXT,
    split_of TEXT,
    round BIGINT NOT NULL,
    paused_at BIGINT,
    result TEXT,
    public_text TEXT,
    -- Whether its event is in the log: pending, yes, no
    observed TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    closed_at BIGINT,
    UNIQUE (source, report)
);
CREATE INDEX cases_newest ON cases (opened_at, id);
CREATE INDEX cases_by_state ON cases (state, opened_at, id);
CREATE INDEX cases_by_office ON cases (office, opened_at, id) WHERE office IS NOT NULL;
CREATE INDEX cases_by_layer ON cases (layer, opened_at, id);
CREATE INDEX cases_by_cell ON cases (cell, opened_at) WHERE cell IS NOT NULL;
CREATE INDEX cases_by_place ON cases (place, opened_at) WHERE place IS NOT NULL;
CREATE INDEX cases_by_parent ON cases (parent) WHERE parent IS NOT NULL;
CREATE INDEX cases_by_split ON cases (split_of) WHERE split_of IS NOT NULL;
CREATE INDEX cases_paused ON cases (paused_at) WHERE paused_at IS NOT NULL;

CREATE TABLE case_moves (
    case_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    move TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    duty TEXT NOT NULL,
    office TEXT,
    text_id TEXT,
    data TEXT NOT NULL,
    -- SHA-256 in hex, of that of the row before and of all else of this one.
    hash TEXT NOT NULL,
    PRIMARY KEY (case_id, seq)
);

CREATE INDEX moves_by_time ON case_moves (at);

CREATE TABLE case_clocks (
    case_id TEXT NOT NULL,
    name TEXT NOT NULL,
    generation BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    office TEXT,
    rule TEXT NOT NULL,
    spec TEXT NOT NULL,
    calendar_version BIGINT,
    start_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    yellow_at BIGINT,
    red_at BIGINT,
    next_at BIGINT,
    -- running, paused, stopped
    state TEXT NOT NULL,
    pauses TEXT NOT NULL,
    extended BIGINT NOT NULL,
    -- none, yellow, red
    card TEXT NOT NULL,
    steps TEXT NOT NULL,
    provisional BIGINT NOT NULL,
    stopped_at BIGINT,
    stop TEXT,
    PRIMARY KEY (case_id, name, generation)
);
CREATE INDEX clocks_next ON case_clocks (next_at) WHERE state = 'running';
CREATE INDEX clocks_stopped ON case_clocks (rule, name, stopped_at) WHERE state = 'stopped';
CREATE INDEX clocks_with_card ON case_clocks (card, case_id) WHERE card <> 'none';
CREATE INDEX clocks_due ON case_clocks (due_at, case_id) WHERE state <> 'stopped';

CREATE TABLE case_texts (
    id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL,
    -- description, reason, reply, note, attribute
    kind TEXT NOT NULL,
    -- Body and salt are erased together; the digest stays.
    salt BLOB,
    body TEXT,
    digest TEXT NOT NULL,
    erase_at BIGINT
);
CREATE INDEX texts_of_case ON case_texts (case_id);
CREATE INDEX texts_to_erase ON case_texts (erase_at) WHERE body IS NOT NULL AND erase_at IS NOT NULL;

CREATE TABLE case_assessed (
    month TEXT NOT NULL,
    office TEXT NOT NULL,
    case_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    out TEXT,
    responded BIGINT NOT NULL,
    replied_at BIGINT,
    resolved TEXT,
    rating BIGINT,
    PRIMARY KEY (case_id, generation)
);
CREATE INDEX assessed_of_month ON case_assessed (month, office);

CREATE TABLE rating_links (
    -- SHA-256 of the token.
    digest TEXT PRIMARY KEY,
    case_id TEXT NOT NULL,
    round BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

-- Duty, rules, calendars.
CREATE TABLE hotline_data (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    effective_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (name, version)
);

-- The last number given on each local date.
CREATE TABLE case_numbers (
    date TEXT PRIMARY KEY,
    last BIGINT NOT NULL
);

-- Events of cases that are not in the log yet.
CREATE TABLE case_events (
    id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL,
    -- open, close
    op TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX events_in_order ON case_events (created_at, id);

-- Ends of mirrored reports whose beginning has not come.
CREATE TABLE case_early_ends (
    case_id TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);

-- What a request with an Idempotency-Key was answered.
CREATE TABLE idempotency_keys (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    -- SHA-256 in hex of method, path and body.
    request TEXT NOT NULL,
    status BIGINT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_by_time ON idempotency_keys (created_at);

-- What an identity does at the hotline, and for which offices: JSON lists.
ALTER TABLE keys ADD COLUMN duties TEXT NOT NULL DEFAULT '[]';
ALTER TABLE keys ADD COLUMN offices TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN duties TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN offices TEXT NOT NULL DEFAULT '[]';
