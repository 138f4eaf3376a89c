-- Up to when the evaluations of a rule stay as they are, whatever data come late (µs): those before it was made or changed.
ALTER TABLE rule_progress ADD COLUMN settled_to BIGINT;
UPDATE rule_progress SET settled_to = evaluated_to;
