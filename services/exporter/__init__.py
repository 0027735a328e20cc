"""The metrics exporter daemon."""
