-- What a file of version 5 lacks: the names that the code uses.
ALTER TABLE accounts RENAME COLUMN shown TO read_seq;
ALTER TABLE voided RENAME TO revocations;
ALTER TABLE early RENAME TO early_usersigs;
DROP INDEX instances_untold;
CREATE INDEX instances_pending ON instances (node) WHERE reason IS NOT NULL AND node <> '';
