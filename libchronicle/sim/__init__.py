"""The exchange simulator."""
