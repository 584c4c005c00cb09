"""Checksums of FITS headers and data (FITS standard, appendix J), computed by rows while they are in the cache."""

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.kernels.plain import LARGEST_WORD, sum_of_words

WORD = 4
PUNCTUATION = {*range(0x3A, 0x41), *range(0x5B, 0x61)}


def sum_bytes(content: NDArray[np.uint8], position: int = 0) -> int:
    """Sum bytes as big-endian 32-bit words.

    Parameters
    ----------
    content : ndarray of uint8, shape (n,)
    position : int
        Offset of the bytes in the data unit.

    Returns
    -------
    int
        Add the sums of all parts, then call `fold_carries`.
    """
    before = position % WORD
    if before or content.size % WORD:
        padded = np.zeros(-(-(before + content.size) // WORD) * WORD, np.uint8)
        padded[before : before + content.size] = content
        content = padded
    return sum_of_words(content.view(np.uint32).byteswap())


def fold_carries(total: int) -> int:
    """Add the carries of a sum back at its low end until it fits 32 bits."""
    while total > LARGEST_WORD:
        total = (total & LARGEST_WORD) + (total >> 32)
    return total


def encode_checksum(total: int) -> str:
    """Encode the complement of a sum as the 16 characters of ``CHECKSUM``.

    Parameters
    ----------
    total : int
        Of header and data, with ``CHECKSUM`` set to sixteen zeros.

    Returns
    -------
    str
        Letters and digits that make the sum 0.
    """
    complement = ~fold_carries(total) & LARGEST_WORD
    characters = [0] * 16
    for i in range(WORD):
        byte = complement >> (24 - 8 * i) & 0xFF
        quarters = [byte // 4 + byte % 4 + ord("0"), *[byte // 4 + ord("0")] * 3]
        while PUNCTUATION & set(quarters):
            for pair in (0, 2):
                if PUNCTUATION & set(quarters[pair : pair + 2]):
                    quarters[pair] += 1
                    quarters[pair + 1] -= 1
        for j, quarter in enumerate(quarters):
            characters[4 * j + i] = quarter
    text = bytes(characters).decode("ascii")
    return text[-1] + text[:-1]
