"""Tomita's grammar 4 once more: rates extended at an edge, ten pairs, recipes with their authors' input weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from unitcircle.experiments.comparison import Group, Standing
from unitcircle.experiments.studies import Experiment
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._contenders import Contender, claim_on, contenders
from unitcircle_reproduction._context import FURTHER, Context
from unitcircle_reproduction._statement import Statement
from unitcircle_reproduction.eigen._studies import EIGEN, HAAR_ANGLES

UNITS, STEPS = 64, 600
RATES = (1e-3, 3e-3, 1e-2)
TASK = "tomita(grammar=4)"
IRNN, NP, OWN = "IRNN", "np-RNN", ", its authors' inputs"
LAWS = {
    EIGEN: "eigen(modulus=0.95, angles=uniform)",
    HAAR_ANGLES: "eigen(modulus=0.95, angles=haar)",
    "Xavier": "xavier_normal",
    "Kaiming": "kaiming_normal",
}
RECIPES = {IRNN: "identity", NP: "normalized_positive_definite"}
_WALK = math.sqrt(2) * math.exp(1.2 / (max(UNITS, 6) - 2.4))
"""Factor of a rectified layer of Sussillo and Abbott (2014), on entries N(0, 1/n)."""
BY_N = f"{OWN}, divided by n"
INPUTS = {
    (IRNN, OWN): "gaussian(std=0.001)",
    (NP, OWN): f"gaussian(std={_WALK / UNITS**0.5:.5f})",
    (NP, BY_N): f"gaussian(std={_WALK / UNITS:.5f})",
}
"""Of the input weights: Le, Jaitly and Hinton (2015) draw N(0, .001). The text of Talathi and Vartak (2015) could not
be read here. By third parties they take the scale of Sussillo and Abbott on entries N(0, 1/n); several programs have
the standard deviation 1/n in its place, so that both are run."""


SAID = {
    ("tomita-tanh", "tanh"): ("Xavier", "Kaiming"),
    ("tomita-gated", "GRU and LSTM"): ("Xavier", "Kaiming"),
    ("tomita-recipes", "IRNN and np-RNN as their authors run them"): (IRNN + OWN, NP + OWN, NP + BY_N, IRNN, NP),
}
CELLS = {"tomita-tanh": ("tanh",), "tomita-gated": ("gru", "lstm"), "tomita-recipes": ("relu",)}


def claims(context: Context, /) -> Iterator[Claim]:
    """Train all starts in four cells, and judge the source's comparisons."""
    if context.leaves_out("eigen/bracketed"):
        return
    recipes = [Contender(name, "relu", law) for name, law in RECIPES.items()]
    recipes += [Contender(name + own, "relu", RECIPES[name], {"input": law}) for (name, own), law in INPUTS.items()]
    for (name, of), rivals in SAID.items():
        groups = {f"{TASK}, {cell}": _group(context, cell, recipes if cell == "relu" else []) for cell in CELLS[name]}
        said = f"It converges faster than {', '.join(rivals)}."
        title = f"Tomita's grammar 4 with extended rates: {of}"
        yield claim_on(
            Statement(name, title, said, EIGEN, rivals, Standing.WORSE),
            groups,
            f"{UNITS} units, at most {STEPS} steps, ranked by the steps to the threshold; rates "
            f"{', '.join(map(str, RATES))}, extended at an edge at most {FURTHER} times. {HAAR_ANGLES}: the default of "
            "the library, which the source does not speak of, by itself below.",
            beside=(HAAR_ANGLES,),
        )


def _group(context: Context, cell: str, more: Sequence[Contender]) -> Group:
    members = [*(Contender(name, cell, law) for name, law in LAWS.items()), *more]
    options = {"steps": STEPS, "evaluate_every": 20, "patience": 2, "measure_at": ()}
    experiment = Experiment(
        TASK, sizes=(UNITS,), learning_rates=RATES, further_rates=FURTHER, rank_by="steps", options=options
    )
    return contenders(context, f"eigen-bracketed-{cell}", members, experiment)
