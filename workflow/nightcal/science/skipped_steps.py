"""Warn of calibration steps that a science frame did not have."""

from __future__ import annotations

from collections.abc import Mapping

from astropy.io import fits

from nightcal.io.keywords import read_warnings, warn
from nightcal.io.master import MasterFrame
from nightcal.science.prepared_frame import PreparedFrame
from nightcal.warning_names import name_warning

STEPS = ("bias", "dark", "flat")


def warn_of_skipped_steps(prepared: PreparedFrame, given: Mapping[str, MasterFrame | None]) -> None:
    """Warn of each skipped step, unless the plan has said why, and of a bias level that is still in the image.

    Parameters
    ----------
    prepared : PreparedFrame
        Its header is changed.
    given : mapping of str to MasterFrame or None
        Masters by step; one without data counts as skipped.
    """
    header = prepared.header
    known = read_warnings(header)
    for step in list_skipped_steps(header):
        name, master = f"{step} skipped", given.get(step)
        if not any(text.startswith(name) for text in known):
            reason = "no master was given" if master is None else f"{master.name} is empty ({master.why_empty})"
            warn(header, name_warning(name, reason))
    if prepared.holds_bias_level:
        text = "no bias and no overscan: the image holds the bias level, and its uncertainties are too large"
        warn(header, name_warning("bias not subtracted", text))


def concerns_done_step(text: str, header: fits.Header) -> bool:
    """Check whether a warning of the plan is of a skipped step that a frame had after all, such as the dark in a bias.

    Parameters
    ----------
    text : str
    header : astropy.io.fits.Header
        Of the product.
    """
    skipped = list_skipped_steps(header)
    return any(text.startswith(f"{step} skipped: ") for step in STEPS if step not in skipped)


def list_skipped_steps(header: fits.Header) -> list[str]:
    """List the steps that a product did not have."""
    return [step for step in str(header.get("SKIPPED", "")).split(",") if step]
