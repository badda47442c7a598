"""A load client of our own, for either face of the service: `python -m tests.load URL`."""
