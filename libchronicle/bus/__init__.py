"""Names, endpoints, liveness, discovery, fan-in and channels."""
