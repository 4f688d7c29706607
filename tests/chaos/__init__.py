"""Faults, overload and bad input, made on purpose against the real service."""
