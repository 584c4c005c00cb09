"""Raw headers and pixels in, products out, and the keywords of both."""
