"""Weights loaded, taken apart, stacked and fitted into memory. Floor 1."""
