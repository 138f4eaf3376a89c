-- Cases around a place, among which possible duplicates are looked for.
CREATE INDEX cases_by_latitude ON cases (lat, lon) WHERE lat IS NOT NULL;
DROP INDEX cases_by_cell;
