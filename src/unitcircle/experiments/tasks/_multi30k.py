"""Multi30k: captions of photographs, from German to English."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass

from unitcircle.experiments.tasks._download import fetch
from unitcircle.experiments.tasks._translation import Part, Translation

_SOURCE = "https://raw.githubusercontent.com/multi30k/dataset/2cc0f2d7c615b60e07e2d51bb5edc004444d7e0e/data/task1/raw/"
_FILES = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
_SHA256 = {
    "train.de": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "val.de": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "test_2016_flickr.de": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
}
"""Of the files at this commit of the official repository."""


@dataclass(frozen=True)
class Multi30k(Translation):
    """Translate the German caption of a photograph into English.

    29,000 training pairs, 1,014 validation pairs, and the 1,000 pairs of the 2016 test set; raw text with case and
    punctuation, about thirteen words per sentence.

    Parameters
    ----------
    vocabulary, word_dropout
        As for every :class:`Translation`.
    folder
        Folder with the six gz files. None: the folder that ``UNITCIRCLE_DATA`` names, or the cache, or their source.
        The content of the files is checked, so the key of a run is the same wherever they are.

    References
    ----------
    D. Elliott, S. Frank, K. Sima'an, L. Specia, "Multi30K: multilingual English-German image descriptions", Workshop
    on Vision and Language 2016; task 1 of D. Elliott et al., WMT 2017.
    """

    name = "multi30k"

    places = ("folder",)

    folder: str | None = None

    def sentences(self, part: Part, /) -> tuple[Sequence[str], Sequence[str]]:
        german, english = (_lines(f"{_FILES[part]}.{language}", self.folder) for language in ("de", "en"))
        return german, english


def _lines(name: str, folder: str | None) -> list[str]:
    path = fetch(f"multi30k/{name}.gz", f"{_SOURCE}{name}.gz", f"sha256:{_SHA256[name]}", folder)
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read().removesuffix("\n").split("\n")
