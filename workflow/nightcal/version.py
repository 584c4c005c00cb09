"""The version that goes into every product's header."""

__version__ = "0.1.0"
