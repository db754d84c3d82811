"""The studies behind the chapter on the eigen initializer: what is trained, how it is tuned, how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from unitcircle.experiments.comparison import Comparison, Group, Row
from unitcircle.experiments.studies import Experiment, Study
from unitcircle.experiments.training import Record
from unitcircle_reproduction._context import FURTHER, Context

EIGEN = "eigen .95"
"""Label of the source's initializer in every study: modulus .95, rotations in all planes (i, i + 1)."""

STRUCTURES = {
    EIGEN: "eigen\n.95",
    "Haar .95": "Haar\n.95",
    "blocks .95": "blocks\n.95",
    "chain .95": "chain\n.95",
    "delay line .95": "delay line\n.95",
    "Xavier": "Xavier",
}
"""Labels of :func:`structure` that differ in structure → their name in a figure."""
_EIGEN = "eigen(modulus=0.95, angles=uniform)"
HAAR_ANGLES = "eigen .95, Haar angles"
_HAAR_ANGLES = {HAAR_ANGLES: "eigen(modulus=0.95, angles=haar)"}
"""The library's default angles; the source names none, and no claim of it is judged by this row."""
_PIXELS = "mnist(validation=2000)"


def _tomita(
    context: Context,
    cells: tuple[str, ...],
    rates: tuple[float, ...],
    steps: int,
    every: int,
    *,
    to_the_end: bool = False,
) -> list[Experiment]:
    if not context.full:
        options = {"steps": steps, "evaluate_every": every, "patience": None if to_the_end else 2}
        return [
            Experiment(
                "tomita(grammar=4)",
                cells,
                learning_rates=rates,
                further_rates=FURTHER,
                rank_by="steps",
                options=options,
            )
        ]
    # The protocol of the shipped study "tomita": harder grammars train for more steps.
    shipped = Study.load("tomita").experiments
    first = sorted(shipped, key=lambda experiment: "grammar=4" not in str(experiment.task))
    changes = {"patience": None} if to_the_end else {}
    return [replace(e, cells=cells, further_rates=FURTHER, options={**e.options, **changes}) for e in first]


def _study(
    context: Context, name: str, inits: dict[str, str], experiments: list[Experiment], *, twin: bool = True
) -> Study:
    # With eight pairs the smallest p is 1/128: it survives Holm's correction for up to six rows.
    seeds, tuning = context.pick((8, 2), (10, 3))
    study = Study(
        name,
        initializers={EIGEN: _EIGEN} | inits,
        experiments=tuple(experiments),
        reference=EIGEN,
        seeds=seeds,
        tuning_seeds=tuning,
        twin=twin,
    )
    return context.seeded(study)


def plain(context: Context, /) -> Study:
    """Return the study of tanh-RNNs on Tomita's grammars, grammar 4 first."""
    inits = {"Xavier": "xavier_normal", "Kaiming": "kaiming_normal", "Haar": "orthogonal"} | _HAAR_ANGLES
    more = {"torch default": "torch_default", "identity": "identity", "np-RNN": "normalized_positive_definite"}
    name = context.pick("eigen-tomita-quick", "eigen-tomita")
    # A run that stops early has no spectrum at its end, which this chapter needs.
    experiments = _tomita(context, ("tanh",), (1e-3, 3e-3, 1e-2), 600, 20, to_the_end=True)
    return _study(context, name, inits | context.pick({}, more), experiments)


def rectified(context: Context, /) -> Study:
    """Return the study of ReLU-RNNs: the recipes made for them, IRNN and np-RNN, on their own ground."""
    inits = {"IRNN": "identity", "np-RNN": "normalized_positive_definite", "Xavier": "xavier_normal"} | _HAAR_ANGLES
    name = context.pick("eigen-tomita-relu-quick", "eigen-tomita-relu")
    more = {"Kaiming": "kaiming_normal", "Haar": "orthogonal"}
    experiments = _tomita(context, ("relu",), (3e-4, 1e-3, 3e-3), 600, 20)
    return _study(context, name, inits | context.pick({}, more), experiments, twin=context.full)


def gated(context: Context, /) -> Study:
    """Return the study of gated cells: a GRU in short, GRU and LSTM in full."""
    inits = {"Xavier": "xavier_normal", "Haar": "orthogonal", "torch default": "torch_default"} | _HAAR_ANGLES
    more = {"Kaiming": "kaiming_normal"}
    name = context.pick("eigen-tomita-gated-quick", "eigen-tomita-gated")
    experiments = _tomita(context, context.pick(("gru",), ("gru", "lstm")), (3e-3, 1e-2, 3e-2), 400, 10)
    return _study(context, name, inits | context.pick({}, more), experiments, twin=context.full)


def structure(context: Context, /) -> Study:
    """Return the study of moduli and structures on delayed digits."""
    inits = {
        "Xavier": "xavier_normal",
        "eigen .8": "eigen(modulus=0.8, angles=uniform)",
        EIGEN: _EIGEN,
        "eigen 1.1": "eigen(modulus=1.1, angles=uniform)",
        "eigen 1.5": "eigen(modulus=1.5, angles=uniform)",
        "Haar .95": "orthogonal(gain=0.95)",
        "blocks .95": "block_rotation(modulus=0.95)",
        "chain .95": "chain(gain=1.1875, feedback=0.19)",
    } | _HAAR_ANGLES
    if not context.full:
        options = {"steps": 1000, "evaluate_every": 100}
        rates = (3e-4, 1e-3, 3e-3)
        digits = Experiment("delayed_digits(blank=50)", learning_rates=rates, further_rates=FURTHER, options=options)
        # With nine pairs the smallest p is 1/256: it survives Holm's correction for up to twelve rows.
        study = Study(
            "eigen-structure-quick",
            initializers=inits,
            experiments=(digits,),
            reference=EIGEN,
            seeds=9,
            tuning_seeds=2,
            twin=False,
        )
        return context.seeded(study)
    shipped = Study.load("modulus")
    more = {"Xavier": "xavier_normal", "blocks 1": "block_rotation", "Haar 1": "orthogonal"}
    # The shipped chain has all eigenvalues 0; this one has the others' modulus.
    more |= {"delay line .95": shipped.initializers["chain .95"], "chain .95": inits["chain .95"]}
    (experiment,) = shipped.experiments
    scaled = replace(experiment, input_scales=(0.3, 1.0, 3.0), further_rates=FURTHER)
    inits = dict(shipped.initializers) | more
    named = replace(shipped, name="eigen-structure", initializers=inits, experiments=(scaled,), reference=EIGEN)
    return context.seeded(named)


def regression(context: Context, /) -> Study:
    """Return the study that answers with numbers; its classifying twins are :func:`plain` and :func:`structure`."""
    options = {"steps": context.pick(1500, 4000), "evaluate_every": 100}
    rates = context.pick((1e-3, 3e-3, 1e-2), (3e-4, 1e-3, 3e-3))
    # At 50 steps tanh-RNNs hardly begin to add within the steps of the quick run.
    tasks = [f"adding(length={context.pick(20, 50)})", "mackey_glass(length=50)"]
    experiments = [Experiment(task, learning_rates=rates, further_rates=FURTHER, options=options) for task in tasks]
    name = context.pick("eigen-regression-quick", "eigen-regression")
    inits = {EIGEN: _EIGEN, "Xavier": "xavier_normal", "Haar": "orthogonal", "blocks": "block_rotation"} | _HAAR_ANGLES
    seeds, tuning = context.pick((3, 1), (10, 3))
    study = Study(
        name,
        initializers=inits,
        experiments=tuple(experiments),
        reference=EIGEN,
        seeds=seeds,
        tuning_seeds=tuning,
        twin=False,
    )
    return context.seeded(study)


def reported(context: Context, study: Study, comparison: Comparison, /) -> Iterator[tuple[Group, Row, list[Record]]]:
    """Yield every row of a comparison that has results, with its group and the records behind it."""
    store = context.store(study)
    settings = [setting for experiment in study.experiments for setting in experiment.settings()]
    for setting, group in zip(settings, comparison.groups, strict=True):
        for row in group.rows:
            if row.seeds:
                yield group, row, list(store.records(study.reported_runs(setting, row.label, row.learning_rate)))


def pixels(context: Context, /) -> list[Study]:
    """Return the studies of pixel MNIST: tanh-RNNs, ReLU-RNNs against the recipes made for them, gated cells."""
    # As many steps as one night allows: enough to see what begins to learn, not the final accuracy.
    rates, options = (3e-4, 1e-3, 3e-3), {"steps": 1000, "evaluate_every": 200}
    plain = Experiment(_PIXELS, ("tanh",), learning_rates=rates, further_rates=FURTHER, options=options)
    gated = replace(plain, cells=("gru", "lstm"), options={"steps": 500, "evaluate_every": 100})
    both = {"Xavier": "xavier_normal", "Kaiming": "kaiming_normal"}
    recipes = {"IRNN": "identity", "np-RNN": "normalized_positive_definite"}
    haar = {"Haar": "orthogonal"}
    # With forget biases of 0 one of eight LSTMs of a pilot began to learn in hundreds of steps, with these all did.
    biases = " + chrono(max_steps=784)"
    return [
        _with_data(context, "eigen-pixel-mnist-tanh", both | haar, plain),
        _with_data(context, "eigen-pixel-mnist-relu", both | recipes, replace(plain, cells=("relu",))),
        _with_data(context, "eigen-pixel-mnist-gated", both | haar, gated, biases=biases),
    ]


def translation(context: Context, /) -> list[Study]:
    """Return the study of encoder-decoders with attention on Multi30k, of tanh-RNN, GRU and LSTM."""
    inits = {"Xavier": "xavier_normal", "Kaiming": "kaiming_normal", "Haar": "orthogonal"}
    options = {"steps": 800, "evaluate_every": 400}
    cells, rates = ("tanh", "gru", "lstm"), (7e-4, 2e-3, 5e-3)
    experiment = Experiment(
        "multi30k", cells, sizes=(128,), learning_rates=rates, further_rates=FURTHER, options=options
    )
    return [_with_data(context, "eigen-multi30k", inits, experiment, tuning_seeds=1)]


def _with_data(
    context: Context,
    name: str,
    rivals: dict[str, str],
    experiment: Experiment,
    *,
    biases: str = "",
    tuning_seeds: int = 2,
) -> Study:
    """Return a study on the GPU, if there is one, in 8 runs of each row: as many pairs as Holm's correction needs."""
    if torch.cuda.is_available():
        experiment = replace(experiment, options={**experiment.options, "device": "cuda"})
    inits = {label: law + biases for label, law in ({EIGEN: _EIGEN} | _HAAR_ANGLES | rivals).items()}
    study = Study(
        name,
        initializers=inits,
        experiments=(experiment,),
        reference=EIGEN,
        seeds=8,
        tuning_seeds=tuning_seeds,
        twin=False,
    )
    return context.seeded(study)
