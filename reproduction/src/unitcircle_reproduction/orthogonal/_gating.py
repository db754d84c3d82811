"""Gates against vanishing gradients; and whether an orthogonal start is best with clipping and with gates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from unitcircle.experiments.comparison import Group, Row, Standing, paired_p
from unitcircle.experiments.studies import Experiment
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._contenders import Contender, claim_on, contenders
from unitcircle_reproduction._context import FURTHER, Context
from unitcircle_reproduction._judgement import Evidence, follows, number, significant
from unitcircle_reproduction._statement import Statement, sentence, table

UNITS, LENGTH, STEPS = 32, 50, 500
RATES = (3e-3, 1e-2, 3e-2)
XAVIER, HAAR = "Xavier", "Haar"
LAWS = {XAVIER: "xavier_normal", HAAR: "orthogonal"}
CELLS = {"tanh": "", "gru": "", "lstm": " + forget_bias"}
CLIPS = {"clipped at 1": 1.0, "not clipped": None}


def label(cell: str, law: str, clip: str, /) -> str:
    """Return the name of a contender."""
    return f"{cell}, {law}, {clip}"


CLIPPED, FREE = CLIPS
_GATING = Statement(
    "gating",
    "Gated cells as the remedy for vanishing gradients",
    "Methods against vanishing gradients are more complicated architectures, LSTM and GRU.",
    label("tanh", XAVIER, CLIPPED),
    (label("gru", XAVIER, CLIPPED), label("lstm", XAVIER, CLIPPED)),
    Standing.BETTER,
)


def claims(context: Context, /) -> Iterator[Claim]:
    """Train every cell from both starts, with and without clipping; judge gates, then what the start adds to them."""
    if context.leaves_out("orthogonal/gating"):
        return
    members = [
        Contender(label(cell, law, clip), cell, LAWS[law] + bias, {"clip": CLIPS[clip]})
        for cell, bias in CELLS.items()
        for law in LAWS
        for clip in CLIPS
        if cell != "lstm" or clip == CLIPPED
    ]
    options = {"steps": STEPS, "evaluate_every": STEPS // 5, "batch_size": 20, "measure_at": ()}
    task = f"adding(length={LENGTH})"
    experiment = Experiment(task, sizes=(UNITS,), learning_rates=RATES, further_rates=FURTHER, options=options)
    group = contenders(context, "orthogonal-gating", members, experiment)
    yield claim_on(_GATING, {task: group}, f"All have n = {UNITS} units; forget biases of the LSTM are 1.")
    yield pairing(group)


def pairing(group: Group, /) -> Claim:
    """Judge whether the start helps, and whether it helps more with clipping and with gates than without."""
    rows = {row.label: row for row in group.rows}
    gains = {
        (cell, clip): _gain(rows, cell, clip) for cell in CELLS for clip in CLIPS if label(cell, HAAR, clip) in rows
    }
    tests: dict[str, np.ndarray] = {f"{cell}, {clip}: Haar ends lower": gain for (cell, clip), gain in gains.items()}
    for cell in ("tanh", "gru"):
        tests[f"{cell}: more with clipping than without"] = gains[cell, CLIPPED] - gains[cell, FREE]
    for cell in ("gru", "lstm"):
        tests[f"{cell}: more than in tanh, {CLIPPED}"] = gains[cell, CLIPPED] - gains["tanh", CLIPPED]
    signs = [int(np.sign(values.mean())) for values in tests.values()]
    p_values = [paired_p(values.tolist()) for values in tests.values()]
    # Seeds are few: helping, and helping more, are two families of comparisons.
    told = [
        sign
        for part in (slice(len(gains)), slice(len(gains), None))
        for sign in significant(signs[part], p_values[part])
    ]
    verdict, condition = follows([Evidence(name, sign) for name, sign in zip(tests, told, strict=True)])
    found = "; ".join(
        f"{name} {number(float(values.mean()))} (p = {number(p)})"
        for (name, values), p in zip(tests.items(), p_values, strict=True)
    )
    return Claim(
        "pairing",
        "Orthogonal starts with clipping and with gates",
        "Orthogonal initialization is effective especially when paired with gradient clipping and with more advanced "
        "architectures.",
        f"{sentence(group.title, group)} Decrease of the error by Haar, mean over seeds: {found}. p: permutation test "
        "by itself; corrected (Holm) over the comparisons of help, and over those of more help.",
        verdict,
        table(group.title, group),
        condition=condition,
    )


def _gain(rows: Mapping[str, Row], cell: str, clip: str) -> np.ndarray:
    """Return by how much the error is less with Haar than with Xavier, one a seed."""
    plain, orthogonal = (
        dict(zip(row.seeds, row.scores, strict=True)) for law in LAWS for row in [rows[label(cell, law, clip)]]
    )
    return np.array([plain[seed] - orthogonal[seed] for seed in sorted(plain)])
