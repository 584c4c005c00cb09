"""Timed comparisons of nightcal with other programs, on simulated frames: ``python -m benchmarks --help``."""
