"""Put doubts about a master into its header: what its own frames tell against it."""

from __future__ import annotations

from astropy.io import fits

from nightcal.io.keywords import set_cards, warn
from nightcal.io.verdict import Outcome
from nightcal.warning_names import name_warning


def note_doubt(header: fits.Header, name: str, text: str, outcome: Outcome = Outcome.DOUBTFUL) -> None:
    """Warn of what makes a master doubtful, or unfit for use.

    The worst doubt decides: ``OWNVERD`` is the outcome, and ``OWNWHY`` the sentence. A master without either is
    accepted as far as its own frames tell.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the master; changed in place.
    name : str
        Of the warning, from `nightcal.warning_names.WARNINGS`.
    text : str
        What was found, with numbers.
    outcome : Outcome
    """
    named = name_warning(name, text)
    warn(header, named)
    if outcome > read_own_outcome(header):
        set_cards(header, {"OWNVERD": outcome.word, "OWNWHY": named})


def read_own_outcome(header: fits.Header) -> Outcome:
    """Read what the frames of a master tell of it."""
    return Outcome.parse(str(header.get("OWNVERD", Outcome.ACCEPTED.word)))
