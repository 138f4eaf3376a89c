-- Keys and signed-in browsers; and the audit as a chain, each row of which covers the one before by its hash.

ALTER TABLE audit RENAME TO audit_legacy;

CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    -- key:ID, oidc:ISS#SUB, cert:SAN, cli, anonymous, system
    who TEXT NOT NULL,
    role TEXT NOT NULL,
    -- http, cli, system; legacy: from before the chain
    via TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    count BIGINT NOT NULL,
    -- JSON
    detail TEXT NOT NULL,
    -- SHA-256 in hex: of the row before, and of all else of this one.
    prev TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);

-- Rows stay when a key has ended: that there ever was one is what makes riskgrid guarded.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    -- SHA-256 of the whole key.
    hash BLOB NOT NULL,
    -- The verifier of SCRAM-SHA-256 in PostgreSQL's form.
    scram TEXT NOT NULL,
    name TEXT NOT NULL,
    -- public, analyst, operator, admin; NULL: it only brings events.
    role TEXT,
    ingest BIGINT NOT NULL,
    -- JSON: {"layers": […], "areas": […]}, and lists.
    scope TEXT NOT NULL,
    sources TEXT NOT NULL,
    protocols TEXT NOT NULL,
    addresses TEXT NOT NULL,
    events_per_second BIGINT,
    bytes_per_second BIGINT,
    replaces TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    -- To five minutes.
    last_used_at BIGINT
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    -- SHA-256 of what the cookie holds.
    hash BLOB NOT NULL UNIQUE,
    who TEXT NOT NULL,
    role TEXT NOT NULL,
    scope TEXT NOT NULL,
    -- The key it was begun with, and with which it ends.
    key_id TEXT,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

-- Counts up with each change: the ETag, and what If-Match is compared with.
ALTER TABLE rules ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE webhooks ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
