"""Damage to a file: blind to its structure, and along it."""

import re
import struct

import numpy as np

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)
"""Sizes, counts, places and lengths that a reader must not believe."""
WORDS = (
    b"-1", b"0", b"1e999", b"NaN", b"null", b"[]", b"{}", b"true", b"99999999999999999999", b"18446744073709551615",
    b"\\u001b[2J", b"\\ud800", b"\x1b[31m", b"\xe2\x80\xae", b"\x00", b"'", b'"', b"..", b"/etc/passwd",
)  # fmt: skip
"""Texts in place of others: numbers out of range, escapes, ends of lines, other files."""
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.:/]{2,}")


def mutations(data, cases, rng):
    """Truncations, flips of one to eight bits, and bytes set to extreme values."""
    for _ in range(cases):
        yield _blind(data, rng)


def _blind(data, rng):
    changed = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        del changed[rng.integers(len(data)) :]
    elif kind == 3:
        start = rng.integers(len(data))
        changed[start : start + 4] = struct.pack("<I", rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF]))
    else:
        for _ in range(rng.integers(1, 9)):
            changed[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(changed)


def structured(data, rng):
    """Return a file with one to three changes along its structure: numbers, names, lengths, parts."""
    for _ in range(rng.integers(1, 4)):
        data = _CHANGES[rng.integers(len(_CHANGES))](data, rng) or b"\0"
    return data


def _number(data, rng):
    """Put an extreme number in place of bytes, in one of the widths and orders that formats have."""
    size = int(rng.choice([1, 2, 4, 8]))
    start = int(rng.integers(len(data)))
    value = int(rng.choice(EXTREMES)) + int(rng.integers(-1, 2))
    return data[:start] + (value % (1 << 8 * size)).to_bytes(size, rng.choice(["little", "big"])) + data[start + size :]


def _step(data, rng):
    """Change a number by a little, as an off-by-one length would be."""
    start = int(rng.integers(len(data)))
    return data[:start] + bytes([(data[start] + int(rng.integers(-4, 5))) % 256]) + data[start + 1 :]


def _word(pattern):
    def change(data, rng):
        found = list(pattern.finditer(data))
        if not found:
            return _blind(data, rng)
        match = found[rng.integers(len(found))]
        return data[: match.start()] + WORDS[rng.integers(len(WORDS))] + data[match.end() :]

    return change


def _exchange(data, rng):
    """Put one name in place of another: two tensors become one, a class another, a file a folder."""
    found = list(_NAME.finditer(data))
    if len(found) < 2:
        return _blind(data, rng)
    one, other = (found[rng.integers(len(found))] for _ in range(2))
    return data[: one.start()] + other[0] + data[one.end() :]


def _repeat(data, rng):
    """Repeat a part, up to a thousand times."""
    start = int(rng.integers(len(data)))
    part = data[start : start + int(rng.integers(1, 65))]
    return data[:start] + part * int(rng.choice([2, 3, 1000])) + data[start:]


def _remove(data, rng):
    start = int(rng.integers(len(data)))
    return data[:start] + data[start + int(rng.integers(1, 65)) :]


def _move(data, rng):
    """Copy a part over another."""
    start, target, size = int(rng.integers(len(data))), int(rng.integers(len(data))), int(rng.integers(1, 129))
    part = data[start : start + size]
    return data[:target] + part + data[target + len(part) :]


_CHANGES = (_blind, _number, _number, _step, _word(_NUMBER), _word(_NAME), _exchange, _repeat, _remove, _move)


def mutated(data, seed):
    """Return the file of a seed: every second one is blind damage, the others are along the structure."""
    rng = np.random.default_rng(seed)
    return _blind(data, rng) if seed % 2 else structured(data, rng)
