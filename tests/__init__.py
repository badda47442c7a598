"""The tests, one file for each module of `tim` and some for what only several modules can promise together."""
