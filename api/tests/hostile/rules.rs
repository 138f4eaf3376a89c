//! Rules, alerts and webhooks in numbers that would fill the database.
