"""Dou and Principe's eigen initializer: dynamics from eigenvalues, spectra after training, rivals, open questions."""

from __future__ import annotations

__all__ = ["SOURCE", "claims"]

from collections.abc import Iterator
from dataclasses import replace

import torch

from unitcircle.experiments.reproduce._claim import Claim, Source, Verdict
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce.eigen import _angles, _driven, _regimes
from unitcircle.experiments.reproduce.eigen import _structure as parts
from unitcircle.experiments.reproduce.eigen import _studies as studies
from unitcircle.experiments.reproduce.eigen._contest import contest, unavailable
from unitcircle.experiments.reproduce.eigen._trained import spectra, surface, trained
from unitcircle.experiments.studies import Study
from unitcircle.report import Comparison

OUTPERFORMS = "It consistently improves performance and outperforms {}, in several tasks."
NEEDS_GPU = "not run: more than a thousand runs of 8,000 steps over 784 pixels need a GPU, and there is none here"
FEWEST = 4
"""Initializers of a study below which no rank correlation is computed."""
QUICK = {
    "tomita": ("tanh-RNNs on grammar 4", "the other six grammars; IRNN and np-RNN with tanh"),
    "rectified": ("ReLU-RNNs on grammar 4", "the other six grammars; Kaiming with ReLU; IRNN and np-RNN with tanh"),
    "gated": ("GRUs on grammar 4, against Xavier", "LSTM; the other six grammars; Kaiming"),
}
"""Of a contest in the quick reproduction: what is run, and what is in full only."""
DATA = {
    "pixel-mnist": ("mnist", "MNIST pixel by pixel", "Xavier, Kaiming, IRNN and sp-RNN"),
    "multi30k": ("multi30k", "Translation, Multi30k", "the Xavier and Kaiming initializers, in LSTM and GRU too"),
}


def claims(context: Context, /) -> Iterator[Claim]:
    """Measure the claims of the source, then what its summary leaves open.

    Parameters
    ----------
    context
        What may be spent.

    Yields
    ------
    Claim
        One after the other.
    """
    yield _regimes.claim(context)
    found = [
        (study, context.study(study))
        for study in (studies.plain(context), studies.regression(context), studies.structure(context))
    ]
    (_, plain), _, (_, structure) = found
    nets = trained(context, found)
    yield surface(context, nets)
    yield spectra(nets)
    yield _contest(
        context,
        "tomita",
        "Convergence on Tomita's grammars: tanh-RNN",
        OUTPERFORMS.format("the Xavier and Kaiming initializers"),
        plain,
        note="Every initializer has its own learning rate, chosen with seeds that are not reported.",
    )
    rectified, gated = studies.rectified(context), studies.gated(context)
    found += [(rectified, context.study(rectified))]
    yield _contest(
        context,
        "rectified",
        "Against IRNN and sp-RNN, on their own ground: ReLU-RNN",
        OUTPERFORMS.format("other RNN-only initializers like IRNN and sp-RNN"),
        found[-1][1],
        note="We read sp-RNN as np-RNN; the summary does not define it.",
    )
    found += [(gated, context.study(gated))]
    yield _contest(
        context,
        "gated",
        "Gated cells",
        "It can be applied to LSTM and GRU, and improves them, too.",
        found[-1][1],
        note="The initializer fills each gate block by itself; forget biases are zero for all.",
    )
    group = next(group for group in structure.groups if group.input_scale == 1)
    yield parts.long_wait(group)
    for name, (task, title, rivals) in DATA.items():
        yield _with_data(context, name, task, title, OUTPERFORMS.format(rivals))
    for other in structure.groups:
        yield parts.modulus(other)
    yield parts.structure(group)
    yield _angles.claim(context)
    yield _driven.exponents(context)
    yield _driven.regime(context)
    yield parts.discrimination(context, _ranked(found))


def _ranked(found: list[tuple[Study, Comparison]]) -> list[tuple[Study, Comparison]]:
    """Return the studies that have enough initializers to be ranked."""
    return [(study, comparison) for study, comparison in found if len(study.initializers) >= FEWEST]


def _contest(context: Context, name: str, title: str, statement: str, comparison: Comparison, *, note: str) -> Claim:
    """Return the contest; what was not run of its statement is said, and is then a condition of its verdict."""
    if context.full:
        return contest(name, title, statement, comparison, note=note)
    run, missing = QUICK[name]
    claim = contest(name, title, statement, comparison, note=f"{note} Not run in the quick reproduction: {missing}.")
    verdict = Verdict.CONDITIONALLY if claim.verdict is Verdict.HOLDS else claim.verdict
    return replace(claim, verdict=verdict, condition="; ".join(filter(None, (f"run: only {run}", claim.condition))))


def _with_data(context: Context, name: str, task: str, title: str, statement: str) -> Claim:
    if not context.full:
        missing = "not run in the quick reproduction; needs --full and the data"
        return Claim(name, title, statement, "Not run.", Verdict.UNDECIDED, condition=missing)
    if name == "pixel-mnist" and not torch.cuda.is_available():
        return Claim(name, title, statement, "Not run.", Verdict.UNDECIDED, condition=NEEDS_GPU)
    return unavailable(name, title, statement, task) or contest(
        name, title, statement, context.study(studies.needs_data(context, name))
    )


SOURCE = Source(
    "eigen",
    "The eigen initializer",
    "Ran Dou, Jose Principe, Dynamic Analysis and an Eigen Initializer for Recurrent Neural Networks, arXiv 2307.15679 "
    "(2023); we could read its abstract and introduction only",
    claims,
)
