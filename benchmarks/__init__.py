"""Timed comparisons of nightcal with its peers, on simulated frames: ``python -m benchmarks --help``."""
