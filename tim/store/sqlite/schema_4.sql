-- What a file of version 3 lacks: the ends of an account's instances, by time.
CREATE INDEX instances_ended ON instances (app, user, gone_at, node) WHERE reason IS NOT NULL;
