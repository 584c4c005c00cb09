"""One night of raw CCD frames in, calibrated science frames with honest errors out."""

from typing import TYPE_CHECKING, Any

from nightcal.version import __version__

if TYPE_CHECKING:
    from nightcal.detector.overscan import OverscanMethods
    from nightcal.science.calibrator import Calibrator

__all__ = ["Calibrator", "OverscanMethods", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the low-level interface when it is asked for, so that planning a night stays quick."""
    if name == "Calibrator":
        from nightcal.science.calibrator import Calibrator

        return Calibrator
    if name == "OverscanMethods":
        from nightcal.detector.overscan import OverscanMethods

        return OverscanMethods
    raise AttributeError(f"module 'nightcal' has no attribute {name!r}")
