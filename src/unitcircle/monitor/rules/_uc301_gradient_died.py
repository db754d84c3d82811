"""Rule UC301, gradient-died."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis import Finding, Place, Severity
from unitcircle.monitor._history import History
from unitcircle.monitor.rules._judgement import CONFIRMED, is_low, run_at_end
from unitcircle.monitor.rules._registry import rule

DEAD = 1e-4
"""Share of its first value below which a gradient counts as vanished."""
GONE = 1e-6
"""Factor over the length of the batch below which a gradient counts as vanished."""


@rule("UC301", "gradient-died")
def gradient_died(history: History) -> Iterator[Finding]:
    """The gradient of a weight has vanished although the loss is not low.

    ## What was found
    Either the norm of ∂L/∂W has been below 1/10,000 of its first measured value for three measurements in a row, while
    the loss is still above half of its first value. (If the loss is lower, a small gradient is expected and is not
    reported.) The finding is a note if the monitor has no loss, or if the first loss was not positive, because it is
    then unknown whether the loss is low.

    Or, if the monitor has a batch: the norm of the gradient at the start of the sequence was at least 1/1000 of that at
    the end when training began, and is now less than 1/1,000,000 of it.

    ## Why it matters
    Since the reported step the weight has hardly changed, so the network no longer learns from its gradient. Possible
    causes are saturated units, a closed gate, a ReLU layer whose units are all inactive, or an earlier optimizer step
    that was too large.

    ## Remedy
    Go back to a checkpoint before that step; clip the gradient's norm or lower the learning rate. Run
    `unitcircle.diagnose(model, batch)` on a checkpoint after it: UC201, UC203 and UC207 show where the gradient
    vanishes.
    """
    loss = history.series("loss")
    learned, judged = is_low(loss), loss.first > 0
    for name, place, _ in history.blocks():
        gradient = history.series(f"{name}/gradient")
        low = gradient.values <= DEAD * gradient.first
        run = run_at_end(low)
        if run < CONFIRMED or gradient.first == 0 or learned:
            continue
        since = int(gradient.steps[-run])
        yield Finding(
            Severity.ERROR if judged else Severity.NOTE,
            place,
            f"the gradient has vanished since step {since}: ‖∂L/∂W‖ is {gradient.now:.2g}, at first "
            f"{gradient.first:.2g}",
            "the weight no longer learns" + (", although the loss is not low" if judged else ""),
            ("" if judged else "nothing, if the loss is low (pass it to monitor.step(loss=loss)); else ")
            + "go back to a checkpoint before that step, clip the gradient or lower the learning rate; then "
            "unitcircle.diagnose(model, batch)",
            {"since": since, "gradient": gradient.now, "first": gradient.first},
        )
    for name in [key for key in history.latest if key.endswith("/gradient_reach")]:
        reach = history.series(name)
        run = run_at_end(reach.values < math.log(GONE))
        if run >= 2 and reach.first > math.log(1e-3):
            since = int(reach.steps[-run])
            layer = name.removesuffix("/gradient_reach")
            yield Finding(
                Severity.WARNING,
                Place(layer),
                f"the gradient no longer reaches the start of the sequence: since step {since} its norm changes by a "
                f"factor of 10^{reach.now / math.log(10):.1f} from end to start, at first by "
                f"10^{reach.first / math.log(10):.1f}",
                "dependencies on early inputs are no longer learned",
                "lower the learning rate, or start from initialize_ (unitcircle.torch, .keras or .jax) with a gain or "
                "a bias for this length; in PyTorch unitcircle.diagnose(model, batch, try_initializers=['remedies']) "
                "measures which",
                {"since": since, "change": reach.now, "first": reach.first},
            )
