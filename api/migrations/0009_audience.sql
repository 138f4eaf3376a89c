-- Who is told of an alert, as its rule said when it began: staff, public.
ALTER TABLE alerts ADD COLUMN audience TEXT NOT NULL DEFAULT 'staff';
CREATE INDEX alerts_by_audience ON alerts (audience, fired_at, id);
