"""The chronicle command."""
