-- Who of several nodes does what only one may do. A transaction of a holder whose epoch is no longer this one fails.

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    -- Counts up whenever the holder changes, or begins anew.
    epoch BIGINT NOT NULL,
    -- Wall clock.
    until BIGINT NOT NULL
);
