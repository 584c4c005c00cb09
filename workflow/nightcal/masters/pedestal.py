"""Account for the dark current in a bias that is made of darks, on nights without bias frames."""

from __future__ import annotations

from collections.abc import Sequence

from astropy.io import fits

from nightcal.errors import FrameRejectedError
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.planning.dark_scaling import same_exposure
from nightcal.warning_names import name_warning


def contains_dark(bias: MasterFrame | None, exposure_times: Sequence[float]) -> bool:
    """Check whether a bias is made of darks of the exposure time of the frames, and contains all their dark current.

    Parameters
    ----------
    bias : MasterFrame or None
    exposure_times : sequence of float
        Of the frames [s].
    """
    seconds = 0.0 if bias is None else bias.pedestal_exposure
    return seconds > 0 and all(same_exposure(seconds, time) for time in exposure_times)


def check_longer(exposure_time: float, bias: MasterFrame | None) -> None:
    """Check that a dark is longer than the darks that its bias is made of.

    Parameters
    ----------
    exposure_time : float
        Of the dark [s].
    bias : MasterFrame or None

    Raises
    ------
    FrameRejectedError
        If it is not.
    """
    seconds = 0.0 if bias is None else bias.pedestal_exposure
    if seconds > 0 and (exposure_time < seconds or same_exposure(exposure_time, seconds)):
        raise FrameRejectedError(
            f"a dark of {exposure_time:g} s is not longer than the darks of {seconds:g} s that the bias is made of"
        )


def note_pedestal(
    header: fits.Header,
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    exposure_times: Sequence[float],
    *,
    gain: float,
    level: float | None = None,
    whose: str = "a frame",
) -> None:
    """Note the darks that a bias is made of, and warn if too much or too little dark current is subtracted.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of a product made with the bias; changed in place.
    bias, dark : MasterFrame or None
        Nothing is noted without a bias, or with one of bias frames.
    exposure_times : sequence of float
        Of the frames [s].
    gain : float
        Of the frames [e-/ADU].
    level : float, optional
        Signal of the frames [e-], to which the possible error is compared.
    whose : str
        What the frames are, for the warning.
    """
    if bias is None or bias.pedestal_exposure <= 0:
        return
    seconds = bias.pedestal_exposure
    set_cards(header, {"PEDEXP": seconds})
    if dark is not None or contains_dark(bias, exposure_times):
        return
    farthest = max(exposure_times, key=lambda time: abs(time - seconds))
    left = farthest - seconds
    what = f"of {left:g} s is not subtracted" if left > 0 else f"of {-left:g} s too much is subtracted"
    text = f"darks of {seconds:g} s serve as bias for {whose} of {farthest:g} s: dark current {what}"
    warn(header, name_warning("bias made of darks", text + _estimate_error(bias, left, gain, level)))


def _estimate_error(bias: MasterFrame, seconds: float, gain: float, level: float | None) -> str:
    """Estimate the dark current of some seconds from the noise of the darks; an empty string if it does not show."""
    electrons = bias.find_pedestal_variance(gain) / bias.pedestal_exposure * abs(seconds)
    if electrons <= 0:
        return ""
    relative = f" or {100 * electrons / level:.2g} percent" if level is not None and level > 0 else ""
    return f", about {electrons:.2g} e-{relative}" if electrons < 10 else f", about {electrons:.0f} e-{relative}"
