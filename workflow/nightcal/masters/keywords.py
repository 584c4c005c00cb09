"""Write the keywords that name masters, inputs and rejected frames, and the warnings that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from astropy.io import fits

from nightcal.detector.gain import GainAndReadNoise
from nightcal.io.keywords import read_warnings, set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.masters.dark_worth import weigh_dark
from nightcal.planning.dark_scaling import amplification
from nightcal.warning_names import name_warning

MOST_NUMBERED = 999
"""Largest number of IRAF's IMCMBnnn."""

MATTERS = 0.1
"""Noise of a scaled dark that is told, as a fraction of the noise of the frame."""


def inherit_warnings(header: fits.Header, *masters: MasterFrame | None) -> None:
    """Pass on the warnings of masters, and warn of the steps that their frames did not have.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of a product made with the masters; changed in place.
    *masters : MasterFrame or None
    """
    for master in masters:
        if master is not None:
            for text in read_warnings(master.header):
                warn(header, text)
            if master.skipped:
                text = f"{master.kind or 'master'} made without {' and '.join(master.skipped)}"
                warn(header, name_warning("incomplete master", text))


def list_inputs(
    header: fits.Header, inputs: Sequence[tuple[str, str]], names: str = "IMCMB", hashes: str = "IMSHA"
) -> None:
    """List the inputs of a master in its header, as IRAF's imcombine does.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    inputs : sequence of (str, str)
        File name and first digits of the SHA-256 of each input.
    names, hashes : str
        Keywords without their number.
    """
    for n, (name, digest) in enumerate(inputs[:MOST_NUMBERED], start=1):
        set_cards(header, {f"{names}{n:03d}": name, f"{hashes}{n:03d}": digest})
    _note_unlisted(header, len(inputs), "inputs")


def list_rejected(header: fits.Header, rejected: Sequence[tuple[str, str, float | None]]) -> None:
    """List the rejected frames in a master's header, with the reasons.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    rejected : sequence of (str, str, float or None)
        File name, reason and middle of exposure [MJD] of each frame.
    """
    for n, (name, reason, mjd) in enumerate(rejected[:MOST_NUMBERED], start=1):
        set_cards(header, {f"REJ{n:03d}": name, f"REJW{n:03d}": reason})
        if mjd is not None:
            set_cards(header, {f"REJM{n:03d}": mjd})
    _note_unlisted(header, len(rejected), "rejected frames")


def _note_unlisted(header: fits.Header, number: int, what: str) -> None:
    if number > MOST_NUMBERED:
        header.add_comment(f"{number - MOST_NUMBERED} more {what} are not listed")


def name_master(step: str, master: MasterFrame | None) -> dict[str, Any]:
    """Make the cards that name the master of a step, with its verdict and its age; none if there was no master."""
    name = step.upper()
    if master is None:
        return {}
    words = {f"{name}VERD": master.verdict, f"{name}GRAD": master.age}
    verdict = {keyword: word for keyword, word in words.items() if word}
    return {f"{name}MAST": master.name, f"{name}SHA": master.digest} | verdict


def note_skipped(header: fits.Header, masters: Mapping[str, MasterFrame | None], done: Sequence[str] = ()) -> None:
    """List the steps that had no master in ``SKIPPED``, except those done together with another; no card for none."""
    skipped = ",".join(step for step, master in masters.items() if master is None and step not in done)
    if skipped:
        set_cards(header, {"SKIPPED": skipped})


def note_dark_scaling(
    header: fits.Header, dark: MasterFrame | None, exposure_time: float, whose: str = "", noise: float = 0.0
) -> None:
    """Note the ratio of a frame's exposure time to that of its dark, and warn if the noise of the dark is multiplied.

    Exposure times are counted from that of the bias, if this is made of darks.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of a product made with the dark; changed in place.
    dark : MasterFrame or None
        Nothing is noted without a dark, or if its exposure time is unknown.
    exposure_time : float
        Of the longest frame [s].
    whose : str
        Beginning of the warning.
    noise : float
        Noise of a pixel of the frame [e-]; a dark that adds less than a tenth of it is no reason to warn. 0 if unknown.
    """
    longest = None if dark is None else dark.longest_exposure_time
    pedestal = 0.0 if dark is None else dark.pedestal_exposure
    if longest is None or longest <= pedestal:
        return
    set_cards(header, {"DARKFACT": (exposure_time - pedestal) / (longest - pedestal)})
    factor = amplification((longest, longest), (exposure_time, exposure_time), pedestal)
    if dark is None or factor <= 1:
        return
    if noise == 0 or weigh_dark(dark, exposure_time - pedestal).added > MATTERS * noise:
        warn(header, name_warning("dark scaled up", f"{whose}dark of {longest:g} s scaled up {factor:.2g} times"))


def record_gain(header: fits.Header, noise: GainAndReadNoise) -> None:
    """Write the source of gain and read noise into a product's header, with a warning if they are uncertain.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product; changed in place.
    noise : GainAndReadNoise
        Gain and read noise that were used.
    """
    set_cards(header, {"GAINSRC": noise.source})
    if noise.warning:
        warn(header, noise.warning)
