"""Tests of faults: real processes are killed, stopped and cut off, and every promise is to hold all the same."""
