"""Rule UC210, padding-read."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers
from unitcircle.diagnosis.rules._task import after_mending
from unitcircle.report import factor

FELT = math.log(1 / 10)
"""A gradient that loses less than nine tenths over padding is hardly the worse for it."""


@rule("UC210", "padding-read", status="preview")
def padding_read(exam: Examination) -> Iterator[Finding]:
    """The layer reads a constant after each sequence, and the loss reads the state after that.

    ## What was found
    The last inputs of the layer are one constant vector, the same in all sequences (the median of their number over
    the batch is reported), and the gradient of the loss passes through the steps that read it. Over them its norm
    changes by the factor that is reported. The finding is a warning where less than a tenth is left, else a note.

    ## Why it matters
    These inputs tell nothing, and each step that reads one forgets some of what does. A network whose task is easy at
    the end of the data then looks as if it could not remember: of three default networks that needed their last five
    inputs and read 30 steps of padding after them, two stayed at the error of a constant answer and one had five times
    the error of its twin without padding; a longer memory mended less than to read the state where the data ends
    (docs/results/verdicts.md). Therefore the other findings about memory are judged from the last step that is not
    padding.

    ## Remedy
    Give the layer the length of each sequence (`torch.nn.utils.rnn.pack_padded_sequence`, `mask=` in Keras,
    `seq_lengths=` in flax), or read the state at the end of each sequence: `h[torch.arange(len(h)), lengths - 1]`. If
    the weights lose the gradient over the data as well, initialize them besides. If the constant is meant, as the blank
    of a delayed recall, it is a delay that the weights must bridge: LSTM, GRU: `bias="chrono(max_steps=T)"`; plain RNN:
    `recurrent="block_rotation"`.
    """
    for layer, live in live_layers(exam):
        if not live.padding:
            continue
        severe = live.padding_change <= FELT
        action, then = after_mending(exam, layer) if severe else ({}, "")
        share = live.padding / live.steps
        yield Finding(
            Severity.WARNING if severe else Severity.NOTE,
            layer.place(),
            f"the last {live.padding} of {live.steps} steps ({share:.0%}) read one constant input, the same in all "
            f"sequences; over them the gradient changes by {factor(live.padding_change)}",
            "these steps tell nothing of the sequence, and forget",
            "pack the batch, pass its mask, or read the state at the end of each sequence: "
            f"h[torch.arange(len(h)), lengths - 1]{then}",
            {"padding": live.padding, "steps": live.steps, "share": share, "change": live.padding_change},
            action=action,
        )
