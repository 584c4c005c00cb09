"""Cosmic rays, sources, astrometry and photometry of a calibrated frame."""
