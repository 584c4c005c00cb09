"""What each raw frame is, and what calibrates it: a matter of headers alone."""
