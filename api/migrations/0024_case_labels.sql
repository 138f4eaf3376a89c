-- What was said of a case at its dispatch, by which rules tell it from others: a JSON list.
ALTER TABLE cases ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
