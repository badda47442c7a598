"""The web faces of the service; the only folder that knows Flask."""
