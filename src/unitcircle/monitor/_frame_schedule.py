"""Which of a growing number of pictures are kept, so that a film stays short however long the run."""

from __future__ import annotations

FRAMES = 8
"""Pictures kept of every doubling of a run; all of the first twice as many."""


def is_frame(index: int, /) -> bool:
    r"""Whether the picture of this index is kept, decided when it is taken.

    All of the first 16 are, of the next 16 every second, of the next 32 every fourth, and so on: of N about
    :math:`8 \log_2 (N / 4)`, and the gap between two is at most an eighth of what lies before it.

    Parameters
    ----------
    index
        From 0.

    Returns
    -------
    bool
        Whether it is kept.

    Examples
    --------
    >>> [k for k in range(60) if is_frame(k)][-10:]
    [26, 28, 30, 32, 36, 40, 44, 48, 52, 56]
    """
    stride = 1 << max((index // FRAMES).bit_length() - 1, 0)
    return index % stride == 0
