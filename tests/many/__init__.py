"""What holds across many processes on one Redis, while nothing is broken."""
