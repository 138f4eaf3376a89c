-- When areas were in emergency, and feeds silent: what happened in these hours says nothing of how it is otherwise.

CREATE TABLE circumstances (
    -- emergency, silence
    kind TEXT NOT NULL,
    -- Of emergencies the area's id, of silences the feed's name.
    object TEXT NOT NULL,
    -- Event time of the feed's clock; of emergencies wall clock.
    started_at BIGINT NOT NULL,
    -- NULL: it goes on.
    ended_at BIGINT,
    PRIMARY KEY (kind, object, started_at)
);
CREATE INDEX circumstances_ended ON circumstances (ended_at);

INSERT INTO circumstances (kind, object, started_at, ended_at)
    SELECT 'emergency', area, set_at, until FROM modes WHERE mode = 'emergency';

-- Alerts of silent feeds; those of sensors have a layer.
CREATE INDEX alerts_of_silent_feeds ON alerts (instance, fired_at) WHERE kind = 'no_data' AND layer = '';
