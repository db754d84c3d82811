"""Which measured spectra are recorded, so that their number grows only logarithmically with the length of the run."""

from __future__ import annotations

FRAMES = 8
"""Frames kept for every doubling of their number; all of the first twice as many."""


def is_frame(index: int, /) -> bool:
    r"""Whether the frame of this index is kept, decided when it is taken.

    All of the first 16 are kept, every second of the next 16, every fourth of the next 32, and so on: of N frames about
    :math:`8 \log_2 (N / 4)`. The gap between two is at most an eighth of the number of frames before it.

    Parameters
    ----------
    index
        Number of the frame, from 0.

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
