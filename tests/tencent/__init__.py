"""The vendor's own Web SDKs, as npm has them, in Chromium, against a real server."""
