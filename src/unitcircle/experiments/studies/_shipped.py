"""The study files that come with the package."""

from __future__ import annotations

from importlib.resources import files


def shipped_studies() -> list[str]:
    """Return the names of the study files that come with the package.

    Returns
    -------
    list[str]
        File names, sorted.

    Examples
    --------
    >>> shipped_studies()[:2]
    ['forget-bias.toml', 'long-memory.toml']
    """
    folder = files("unitcircle.experiments.studies")
    return sorted(item.name for item in folder.iterdir() if item.name.endswith(".toml"))
