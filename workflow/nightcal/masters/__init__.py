"""Master bias, dark, flat and bad pixel mask, and how their frames are judged."""
