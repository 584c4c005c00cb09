"""Parse the times that an observer writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nightcal.errors import FrameRejectedError
from nightcal.io.date_formats import EARLIEST, LATEST
from nightcal.io.header_values import MJD_ZERO


def parse_utc(text: str) -> float:
    """Parse a date and time.

    Parameters
    ----------
    text : str
        As in ISO 8601, such as ``2024-03-01T22:30:00`` [UTC], or with a time zone.

    Returns
    -------
    float
        [MJD, UTC]

    Raises
    ------
    FrameRejectedError
        If the text is not such a time, or the time is before 1968 or after 2132.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise FrameRejectedError(f"the time {text!r} cannot be read; expected YYYY-MM-DDThh:mm:ss") from error
    mjd = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - MJD_ZERO) / timedelta(days=1)
    if not EARLIEST < mjd < LATEST:
        raise FrameRejectedError(f"the time is {text!r}; expected a time between 1968 and 2132")
    return mjd
