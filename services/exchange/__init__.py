"""The embedded exchange daemon."""
