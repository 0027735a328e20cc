"""Order books in fixed-point."""
