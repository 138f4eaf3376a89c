-- Who looked at raw records, replayed or purged, and when. Rows are only added.

CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    -- An address, or the command line.
    who TEXT NOT NULL,
    -- dead_letters.raw, dead_letters.replay, feeds.purge
    action TEXT NOT NULL,
    -- JSON: what was asked for.
    filters TEXT NOT NULL,
    -- How many records it was about.
    count BIGINT NOT NULL
);
