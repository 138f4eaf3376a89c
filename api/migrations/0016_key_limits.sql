-- Where a key may take less than its role: JSON. And as whom a signed-in browser's user is known to people.
ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sessions ADD COLUMN name TEXT;
