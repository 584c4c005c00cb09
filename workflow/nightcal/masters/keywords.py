"""Keywords that name the masters used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from astropy.io import fits

from nightcal.detector.photon_transfer import GainAndReadNoise
from nightcal.io.keywords import set_cards, warn, warnings_of
from nightcal.io.master import PER_SECOND, MasterFrame
from nightcal.planning.dark_scaling import amplification


def inherit_warnings(header: fits.Header, *masters: MasterFrame | None) -> None:
    """Pass on what the headers of masters warn of, and which steps their frames did not have.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of what is made with the masters; changed in place.
    *masters : MasterFrame or None
        None is passed over.
    """
    for master in masters:
        if master is not None:
            for text in warnings_of(master.header):
                warn(header, text)
            if "SKIPPED" in master.header:
                missing = master.header["SKIPPED"].replace(",", " and ")
                warn(header, f"{master.header.get('MASTER', 'master')} made without {missing}")


MOST_NUMBERED = 999
"""Numbers that IRAF's IMCMBnnn has room for."""


def list_inputs(
    header: fits.Header, inputs: Sequence[tuple[str, str]], names: str = "IMCMB", hashes: str = "IMSHA"
) -> None:
    """Name in a master's header what it is combined from, as IRAF's imcombine does.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    inputs : sequence of (str, str)
        File name and first digits of the SHA-256 of each.
    names, hashes : str
        Keywords without their number.
    """
    for n, (name, digest) in enumerate(inputs[:MOST_NUMBERED], start=1):
        set_cards(header, [(f"{names}{n:03d}", name, "input"), (f"{hashes}{n:03d}", digest, "its SHA-256 begins")])
    _note_unlisted(header, len(inputs), "inputs")


def list_rejected(header: fits.Header, rejected: Sequence[tuple[str, str, float | None]]) -> None:
    """Name in a master's header the frames that were rejected, and why.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    rejected : sequence of (str, str, float or None)
        File name, reason and middle of the exposure [MJD] of each.
    """
    for n, (name, reason, mjd) in enumerate(rejected[:MOST_NUMBERED], start=1):
        set_cards(header, [(f"REJ{n:03d}", name, "rejected"), (f"REJW{n:03d}", reason, "")])
        if mjd is not None:
            set_cards(header, [(f"REJM{n:03d}", mjd, "middle of its exposure")])
    _note_unlisted(header, len(rejected), "rejected frames")


def _note_unlisted(header: fits.Header, number: int, what: str) -> None:
    if number > MOST_NUMBERED:
        header.add_comment(f"{number - MOST_NUMBERED} more {what} are not listed")


def used_cards(step: str, master: MasterFrame | None) -> list[tuple[str, Any, str]]:
    """Cards that name the master of a step, none if there was none."""
    if master is None:
        return []
    name = step.upper()
    return [(f"{name}MAST", master.name, f"master {step}"), (f"{name}SHA", master.digest, "its SHA-256 begins")]


def note_skipped(header: fits.Header, masters: Mapping[str, MasterFrame | None], comment: str) -> None:
    """Name in ``SKIPPED`` the steps that had no master; no card if all had one."""
    skipped = ",".join(step for step, master in masters.items() if master is None)
    if skipped:
        set_cards(header, [("SKIPPED", skipped, comment)])


def longest_exposure(dark: MasterFrame) -> float | None:
    """Exposure of the longest frame of a master dark [s]; None where its header does not tell."""
    cards = ("EXPMAX", "DARKTEFF") if dark.unit.endswith(PER_SECOND) else ("EXPMAX", "DARKTEFF", "EXPTIME")
    seconds = next((dark.header[card] for card in cards if card in dark.header), None)
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None


def note_dark_scaling(header: fits.Header, dark: MasterFrame | None, exposure_time: float, whose: str = "") -> None:
    """Say by how much the exposure of frames exceeds that of a dark, and warn where its noise is multiplied.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of what is made with the dark; changed in place.
    dark : MasterFrame or None
        Nothing is said without one, or where its exposure is unknown.
    exposure : float
        Of the longest frame [s].
    whose : str
        What the warning begins with.
    """
    longest = None if dark is None else longest_exposure(dark)
    if longest is None:
        return
    set_cards(header, [("DARKFACT", exposure_time / longest, "exposure over the longest one of the dark")])
    factor = amplification((longest, longest), (exposure_time, exposure_time))
    if factor > 1:
        warn(header, f"{whose}dark of {longest:g} s scaled up {factor:.2g} times")


def record_gain(header: fits.Header, noise: GainAndReadNoise) -> None:
    """Say in a product's header where gain and read noise come from, and what is wrong with them.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product; changed in place.
    noise : GainAndReadNoise
        What was used.
    """
    set_cards(header, [("GAINSRC", noise.source, "source of gain and read noise")])
    if noise.warning:
        warn(header, noise.warning)
