-- What a file of version 1 lacks.
-- What an app allows, where it was saved; see rules.Limits.
CREATE TABLE limits (
    app         INTEGER PRIMARY KEY,
    instances   INTEGER NOT NULL,
    per_account INTEGER NOT NULL,
    per_address INTEGER NOT NULL
);
