"""Configuration, daemon lifecycle, logging, transports."""
