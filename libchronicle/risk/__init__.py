"""Pre-trade checks and the kill word."""
