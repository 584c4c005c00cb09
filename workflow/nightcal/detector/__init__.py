"""From a raw readout to electrons per light-sensitive pixel, one step a module."""
