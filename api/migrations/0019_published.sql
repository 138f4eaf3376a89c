-- The log of what was published, where nodes share this database and not the place of their checkpoints: pages without a gap,
-- each written once.
CREATE TABLE published (
    number BIGINT PRIMARY KEY,
    -- JSON, as in the files of nodes that share that place.
    page TEXT NOT NULL
);
