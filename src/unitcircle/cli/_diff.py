"""``unitcircle diff``: what changed between two files of one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


def diff(a: Positional[str], b: Positional[str], /, *, as_json: Annotated[bool, arg(name="json")] = False) -> int:
    """Compare two files of one model: trained further, cast, quantized or converted.

    Exit status: 0 the same, within the error of storage, or changed; 1 what changed looks like an error of conversion;
    2 a file cannot be read; 3 a layer has no counterpart, or something was not read.

    Args:
        a: The file before.
        b: The file after, of any format.
        as_json: Print JSON instead of text.
    """
    from unitcircle import checkpoints, diagnosis
    from unitcircle.cli._terminal import console

    before, after = checkpoints.read(a), checkpoints.read(b)
    names = (a, b) if Path(a).name == Path(b).name else (Path(a).name, Path(b).name)
    result = diagnosis.difference(before, after, names=names)
    unread = [f"{name}: {sentence}" for name, file in zip(names, (before, after), strict=True)
              for sentence in file.coverage.unread]  # fmt: skip
    if as_json:
        print(result.to_json())
    else:
        console().print("\n".join([str(result), *(f"unread: {sentence}" for sentence in unread)]), soft_wrap=True)
    if result.errors:
        return 1
    return 3 if unread or not result.layers or result.only_a or result.only_b else 0
