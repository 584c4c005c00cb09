"""Median, rstd, clipped levels, and the compiled loops of the hot paths."""
