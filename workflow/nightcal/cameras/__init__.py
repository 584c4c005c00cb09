"""Camera files, and what a header of that camera means."""
