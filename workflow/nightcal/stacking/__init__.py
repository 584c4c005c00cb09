"""The clipped stack of many frames of one kind."""
