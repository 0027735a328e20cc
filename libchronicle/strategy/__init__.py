"""The strategy contract and its live runner."""
