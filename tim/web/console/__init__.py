"""The operator's console, below `/console`."""
