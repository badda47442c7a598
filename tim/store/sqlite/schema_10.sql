-- How many messages one instance may send in a minute is a setting of its app.
ALTER TABLE settings ADD COLUMN messages INTEGER NOT NULL DEFAULT 100;
