"""Simulate nights with known truth."""
