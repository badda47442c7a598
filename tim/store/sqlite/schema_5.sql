-- What a file of version 4 lacks.
-- UserSigs that were used before the second in which they say they were made, as their maker's clock was ahead.
CREATE TABLE early (
    app     INTEGER NOT NULL,
    user    TEXT    NOT NULL,
    made    INTEGER NOT NULL,                       -- unix seconds, as the UserSig says
    expires REAL    NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, user, made, expires)
) WITHOUT ROWID;
