"""Digests of the user's files: a file with other content makes another task."""

from __future__ import annotations

import hashlib
from pathlib import Path

from unitcircle.errors import ArgumentError


def digest_of(content: bytes, /) -> str:
    """Return the first sixteen hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def read_checked(path: str, digest: str, /, *, what: str) -> bytes:
    """Return the content of a file, checked against its digest unless that is empty; ``what`` is for the message."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ArgumentError("path", f"must name {what} that can be read", f"{path!r} ({error.strerror})") from error
    if digest and digest_of(content) != digest:
        remedy = "The file has changed; leave the digest out to make a task of the new one."
        raise ArgumentError("path", f"must name the file whose digest is {digest}", digest_of(content), remedy)
    return content
