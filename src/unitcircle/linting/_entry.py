"""What every format says of a finding: where it is, its text, and what identifies it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from unitcircle.diagnosis import Finding


def fingerprint(path: str, finding: Finding, /) -> str:
    """Return a hash of file, code and place: the numbers of a finding change with every training."""
    parts = (location(path), finding.code, finding.place.layer, finding.place.gate, finding.place.tensor)
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


def location(path: str, /) -> str:
    """Return a path from the working directory, with slashes; other paths and addresses as they are."""
    if "://" in path:
        return path
    absolute, here = Path(os.path.abspath(path)), Path.cwd()  # noqa: PTH100  (no link is followed)
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()


def sentences(finding: Finding, /, *, why: bool = False) -> str:
    """Return place, message and remedy of a finding as sentences."""
    parts = [f"{finding.place}: {finding.message}", finding.why if why else "", finding.remedy]
    return " ".join(part if part.endswith((".", "?")) else f"{part}." for part in parts if part)
