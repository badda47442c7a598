-- What a file of version 10 has to write for each login beyond what it needs.
DROP INDEX instances_by_address;
DROP INDEX instances_by_browser;
DROP INDEX instances_by_since;
DROP INDEX instances_due;
CREATE INDEX instances_due ON instances (detached_at, ends_at, app) WHERE reason IS NULL AND detached_at IS NOT NULL;
