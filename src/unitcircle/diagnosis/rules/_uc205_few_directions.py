"""Rule UC205, few-directions."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers

MANY = 8
"""With fewer possible dimensions than this, the number in use is not judged."""


@rule("UC205", "few-directions")
def few_directions(exam: Examination) -> Iterator[Finding]:
    """The last states of a whole batch differ in fewer than two directions.

    ## What was found
    The participation ratio (tr C)²/tr C² of the covariance of h_T over the batch is below 2, though units and batch
    would allow at least eight.

    ## Why it matters
    The ratio counts the directions in which states differ: states that differ in one direction only are, to a readout,
    one number. Among the 1,344 runs of the study `prediction` (32 initializers, five kinds of task, three cells) the
    812 with fewer than two directions before training ended worse than the others of their setting (mean place .45
    against .56, p = .006), and 26 % against 15 % stayed at the baseline: means over settings with the weights of Mantel
    and Haenszel, not shares of all runs. It was so again among 360 runs of tanh networks with 20 other recurrent
    weights (.43 against .57, p = .016). This is a screening: it does not distinguish one seed from another.

    ## Remedy
    Keep more directions: use orthogonal or block-rotation recurrent weights, and avoid weights close to the identity. A
    batch of nearly equal sequences gives the same finding; then the batch is the cause.
    """
    for layer, live in live_layers(exam):
        if live.largest_dimension >= MANY and live.dimension < 2:
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"the last states of {live.sequences} sequences differ in {live.dimension:.1f} directions of "
                f"{live.largest_dimension} possible; so did 60 % of the untrained networks of our study",
                "to a readout of the last state they are hardly more than one number",
                "orthogonal or block_rotation recurrent weights; longer gates in an LSTM or GRU",
                {"effective_dimension": live.dimension, "largest": live.largest_dimension},
            )
