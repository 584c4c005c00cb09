"""Find medians of a few numbers, compiled."""

from numba import njit


@njit(nogil=True, error_model="numpy", cache=True)
def order(a, b):  # type: ignore[no-untyped-def]
    """Sort two numbers."""
    return (a, b) if a < b else (b, a)


@njit(nogil=True, error_model="numpy", cache=True)
def median_of_9(image, y, x):  # type: ignore[no-untyped-def]
    """Find the median of the 3 x 3 pixels around a pixel that is not at the edge, in 19 comparisons.

    Notes
    -----
    N. Devillard, Fast median search, 1998; in the public domain.
    """
    a, b, c = _row_of_3(image[y - 1], x)
    d, e, f = _row_of_3(image[y], x)
    g, h, i = _row_of_3(image[y + 1], x)
    (b, c), (e, f), (h, i) = order(b, c), order(e, f), order(h, i)
    (a, b), (d, e), (g, h) = order(a, b), order(d, e), order(g, h)
    (b, c), (e, f), (h, i), (a, d) = order(b, c), order(e, f), order(h, i), order(a, d)
    (f, i), (e, h), (d, g) = order(f, i), order(e, h), order(d, g)
    (b, e), (c, f) = order(b, e), order(c, f)
    e, h = order(e, h)
    e, c = order(e, c)
    g, e = order(g, e)
    e, c = order(e, c)
    return e


@njit(nogil=True, error_model="numpy", cache=True)
def median_of_25(image, y, x):  # type: ignore[no-untyped-def]
    """Find the median of the 5 x 5 pixels around a pixel that is not near the edge, in 99 comparisons.

    Notes
    -----
    N. Devillard, Fast median search, 1998; in the public domain.
    """
    a, b, c, d, e = _row_of_5(image[y - 2], x)
    f, g, h, i, j = _row_of_5(image[y - 1], x)
    k, m, n, o, p = _row_of_5(image[y], x)
    q, r, s, t, u = _row_of_5(image[y + 1], x)
    v, w, x, y, z = _row_of_5(image[y + 2], x)
    (a, b), (d, e), (g, h), (j, k) = order(a, b), order(d, e), order(g, h), order(j, k)
    (n, o), (q, r), (t, u), (w, x) = order(n, o), order(q, r), order(t, u), order(w, x)
    y, z = order(y, z)
    (c, e), (f, h), (i, k), (m, o) = order(c, e), order(f, h), order(i, k), order(m, o)
    (p, r), (s, u), (v, x) = order(p, r), order(s, u), order(v, x)
    (c, d), (f, g), (i, j), (m, n) = order(c, d), order(f, g), order(i, j), order(m, n)
    (p, q), (s, t), (v, w), (e, h) = order(p, q), order(s, t), order(v, w), order(e, h)
    (o, r), (u, x) = order(o, r), order(u, x)
    (c, f), (d, g), (b, h), (m, p) = order(c, f), order(d, g), order(b, h), order(m, p)
    (n, q), (k, r), (v, y), (w, z) = order(n, q), order(k, r), order(v, y), order(w, z)
    (a, g), (b, e), (i, p), (j, q) = order(a, g), order(b, e), order(i, p), order(j, q)
    (k, o), (s, y), (t, z), (h, r) = order(k, o), order(s, y), order(t, z), order(h, r)
    (a, d), (i, m), (j, n), (s, v) = order(a, d), order(i, m), order(j, n), order(s, v)
    (t, w), (k, u), (o, x), (p, y) = order(t, w), order(k, u), order(o, x), order(p, y)
    q, z = order(q, z)
    (i, s), (j, t), (b, u), (m, v) = order(i, s), order(j, t), order(b, u), order(m, v)
    (n, w), (e, x), (f, y), (g, z) = order(n, w), order(e, x), order(f, y), order(g, z)
    (a, t), (b, k), (c, v), (d, w) = order(a, t), order(b, k), order(c, v), order(d, w)
    (e, o), (f, p), (g, q), (h, u) = order(e, o), order(f, p), order(g, q), order(h, u)
    (a, j), (c, m), (d, n), (o, w) = order(a, j), order(c, m), order(d, n), order(o, w)
    (q, y), (f, s), (e, k) = order(q, y), order(f, s), order(e, k)
    (h, o), (b, j), (d, m), (g, n) = order(h, o), order(b, j), order(d, m), order(g, n)
    (h, q), (m, s), (e, g) = order(h, q), order(m, s), order(e, g)
    (j, s), (h, p) = order(j, s), order(h, p)
    (e, h), (n, p) = order(e, h), order(n, p)
    (k, p), (g, h) = order(k, p), order(g, h)
    k, n = order(k, n)
    g, k = order(g, k)
    g, s = order(g, s)
    n, s = order(n, s)
    (h, s), (n, t) = order(h, s), order(n, t)
    h, k = order(h, k)
    (h, n), (k, t) = order(h, n), order(k, t)
    n, v = order(n, v)
    k, v = order(k, v)
    k, n = order(k, n)
    return n


@njit(nogil=True, error_model="numpy", cache=True)
def _row_of_3(row, x):  # type: ignore[no-untyped-def]
    return row[x - 1], row[x], row[x + 1]


@njit(nogil=True, error_model="numpy", cache=True)
def _row_of_5(row, x):  # type: ignore[no-untyped-def]
    return row[x - 2], row[x - 1], row[x], row[x + 1], row[x + 2]


@njit(nogil=True, error_model="numpy", cache=True)
def middle_of(values, n):  # type: ignore[no-untyped-def]
    """Find the median of the first ``n`` values, an odd number; changes their order (Hoare's quickselect)."""
    low, high, middle = 0, n - 1, n // 2
    while low < high:
        pivot = values[middle]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if j < middle:
            low = i
        if middle < i:
            high = j
    return values[middle]
