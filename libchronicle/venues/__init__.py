"""Venue bytes to protocol messages and back; no I/O."""
