"""A raw science frame on its way to a calibrated product."""
