"""Dou and Principe's eigen initializer: dynamics from eigenvalues, spectra after training, rivals, open questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from unitcircle.experiments.comparison import Comparison, Group
from unitcircle.experiments.studies import Study
from unitcircle_reproduction._claim import Claim, Text, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction.eigen import (
    _angles,
    _answers,
    _beyond_one,
    _bracketed,
    _departures,
    _dose,
    _driven,
    _long_regression,
    _memory_length,
    _regimes,
)
from unitcircle_reproduction.eigen import _structure as parts
from unitcircle_reproduction.eigen import _studies as studies
from unitcircle_reproduction.eigen._nets import trained_nets
from unitcircle_reproduction.eigen._rivals import outperforms, unavailable
from unitcircle_reproduction.eigen._trained import spectra, surface

OUTPERFORMS = "It consistently improves performance and outperforms {}, in several tasks."
FEWEST = 4
"""Initializers of a study below which no rank correlation is computed."""
QUICK = {
    "tomita": ("tanh-RNNs on grammar 4", "the other six grammars; IRNN and np-RNN with tanh"),
    "rectified": ("ReLU-RNNs on grammar 4", "the other six grammars; Kaiming with ReLU; IRNN and np-RNN with tanh"),
    "gated": ("GRUs on grammar 4, against Xavier", "LSTM; the other six grammars; Kaiming"),
}
"""Of a claim in the quick reproduction: what is run, and what only the full one runs."""


def _training(context: Context) -> Iterator[Claim]:
    planned = (studies.plain(context), studies.regression(context), studies.structure(context))
    nets = trained_nets(context, _comparisons(context, planned))
    yield surface(context, nets)
    yield spectra(nets)


def _tomita(context: Context) -> Iterator[Claim]:
    yield _outperforms(
        context,
        "tomita",
        "Convergence on Tomita's grammars: tanh-RNN",
        OUTPERFORMS.format("the Xavier and Kaiming initializers"),
        context.study(studies.plain(context)),
        note="Every initializer has its own learning rate, chosen with seeds that are not reported.",
    )
    yield _outperforms(
        context,
        "rectified",
        "Against IRNN and sp-RNN, on their own ground: ReLU-RNN",
        OUTPERFORMS.format("other RNN-only initializers like IRNN and sp-RNN"),
        context.study(studies.rectified(context)),
        note="We read sp-RNN as np-RNN; the summary does not define it.",
    )
    yield _outperforms(
        context,
        "gated",
        "Gated cells",
        "It can be applied to LSTM and GRU, and improves them, too.",
        context.study(studies.gated(context)),
        note="The initializer fills each gate block by itself; forget biases are zero for all.",
    )


def _wait(context: Context) -> Iterator[Claim]:
    yield parts.long_wait(_as_it_is(context.study(studies.structure(context))))


def _structure(context: Context) -> Iterator[Claim]:
    study = studies.structure(context)
    comparison = context.study(study)
    for group in comparison.groups:
        yield parts.modulus(study.initializers, group)
    yield parts.structure(_as_it_is(comparison))


def _as_it_is(comparison: Comparison) -> Group:
    """Return the group whose inputs are not scaled."""
    return next(group for group in comparison.groups if group.input_scale == 1)


def _discrimination(context: Context) -> Iterator[Claim]:
    planned = (
        studies.plain(context),
        studies.regression(context),
        studies.structure(context),
        studies.rectified(context),
        studies.gated(context),
    )
    yield parts.discrimination(context, _comparisons(context, filter(_can_be_ranked, planned)))


def _comparisons(context: Context, planned: Iterable[Study]) -> list[tuple[Study, Comparison]]:
    return [(study, context.study(study)) for study in planned]


def _can_be_ranked(study: Study) -> bool:
    return len(study.initializers) >= FEWEST


def _outperforms(
    context: Context, name: str, title: str, statement: str, comparison: Comparison, *, note: str
) -> Claim:
    """Return the claim; what was not run of its statement is named, and is a condition of its verdict."""
    if context.full:
        return outperforms(name, title, statement, comparison, note=note)
    run, missing = QUICK[name]
    claim = outperforms(
        name, title, statement, comparison, note=f"{note} Not run in the quick reproduction: {missing}."
    )
    verdict = Verdict.CONDITIONALLY if claim.verdict is Verdict.HOLDS else claim.verdict
    return replace(claim, verdict=verdict, condition="; ".join(filter(None, (f"run: only {run}", claim.condition))))


def _pixels(context: Context) -> Iterator[Claim]:
    rivals = "the Xavier, Kaiming, IRNN and sp-RNN initializers"
    yield _with_data(context, "pixel-mnist", "MNIST pixel by pixel", rivals, studies.pixels(context))


def _translation(context: Context) -> Iterator[Claim]:
    rivals = "the Xavier and Kaiming initializers, in LSTM and GRU too"
    yield _with_data(context, "multi30k", "Translation, Multi30k", rivals, studies.translation(context))


def _with_data(context: Context, name: str, title: str, rivals: str, planned: Sequence[Study]) -> Claim:
    statement = OUTPERFORMS.format(rivals)
    if not context.full:
        missing = "not run in the quick reproduction; needs --full and the data"
        return Claim(name, title, statement, "Not run.", Verdict.TOO_FEW, condition=missing)
    return unavailable(name, title, statement, str(planned[0].experiments[0].task)) or outperforms(
        name,
        title,
        statement,
        *map(context.study, planned),
        note="Small networks and short training: a night on two cores, not what a benchmark trains for.",
    )


def _driven_claims(context: Context) -> Iterator[Claim]:
    yield _driven.exponents(context)
    yield _driven.regime(context)


TEXT = Text(
    "eigen",
    "The eigen initializer",
    "Ran Dou, Jose Principe, Dynamic Analysis and an Eigen Initializer for Recurrent Neural Networks, arXiv 2307.15679 "
    "(2023); we could read its abstract and introduction only",
    {
        "regimes": lambda context: [_regimes.claim(context)],
        "trained": _training,
        "tomita": _tomita,
        "bracketed": _bracketed.claims,
        "wait": _wait,
        "pixel-mnist": _pixels,
        "multi30k": _translation,
        "structure": _structure,
        "dose": _dose.claims,
        "departures": _departures.claims,
        "answers": _answers.claims,
        "long-regression": _long_regression.claims,
        "memory-length": _memory_length.claims,
        "beyond-one": _beyond_one.claims,
        "angles": lambda context: [_angles.claim(context)],
        "driven": _driven_claims,
        "discrimination": _discrimination,
    },
)
