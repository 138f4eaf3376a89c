-- Months whose rows in case_assessed are whole, and stay as they are.
CREATE TABLE case_months (
    month TEXT PRIMARY KEY,
    -- The time as of which they are.
    frozen_at BIGINT NOT NULL,
    -- Of the rows as CSV, in hex.
    sha256 TEXT NOT NULL
);
CREATE INDEX clocks_of_offices ON case_clocks (due_at) WHERE name = 'handle';
