-- When an instance ends by the shortest of its lives, and an index that finds those whose time is over.
ALTER TABLE instances ADD COLUMN ends_at REAL AS (
    min(expires, iif(lasts_until, lasts_until, expires), iif(idle_life, active_at + idle_life, expires))
);
DROP INDEX instances_due;
CREATE INDEX instances_due ON instances (detached_at, ends_at, app) WHERE reason IS NULL;
CREATE INDEX instances_ending ON instances (ends_at) WHERE reason IS NULL;
