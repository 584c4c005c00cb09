"""The steps that turn a raw readout into electrons per light-sensitive pixel, one a module."""
