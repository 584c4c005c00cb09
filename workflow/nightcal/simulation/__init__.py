"""Simulated nights of known truth."""
