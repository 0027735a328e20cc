"""Positions, fees and ledger."""
