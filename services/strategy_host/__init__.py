"""The strategy host daemon."""
