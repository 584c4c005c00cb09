"""The order of comparisons of Batcher's sorting network (merge exchange)."""

from functools import lru_cache

BLOCK = 16
"""Rows that the compiled network sorts in registers."""


@lru_cache(maxsize=256)
def merge_order(n: int) -> tuple[tuple[int, int], ...]:
    """List the pairs to compare and exchange in turn to sort ``n`` values, or to merge ``n`` sorted blocks.

    Parameters
    ----------
    n : int
        1 or more.

    Returns
    -------
    tuple of (int, int)
        Smaller index first.

    Notes
    -----
    Batcher's odd-even merge sort (Knuth, The Art of Computer Programming 3, algorithm 5.2.2M), for the next power of
    two; values beyond ``n`` count as infinite, so that their comparisons change nothing and are left out.
    """
    pairs: list[tuple[int, int]] = []
    size = 1 << max(0, n - 1).bit_length()
    part = 1
    while part < size:
        step = part
        while step >= 1:
            for start in range(step % part, size - step, 2 * step):
                for i in range(start, start + step):
                    if i // (2 * part) == (i + step) // (2 * part):
                        pairs.append((i, i + step))
            step //= 2
        part *= 2
    return tuple(pair for pair in pairs if pair[1] < n)
