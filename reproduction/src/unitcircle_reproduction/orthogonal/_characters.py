"""Strongly-typed networks as character language models, beside a tanh-RNN and an LSTM."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.experiments.comparison import Standing
from unitcircle.experiments.studies import Experiment
from unitcircle.experiments.tasks import CharacterLanguageModel
from unitcircle.report import written_whole
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._contenders import Contender, claim_on, contenders
from unitcircle_reproduction._context import FURTHER, Context
from unitcircle_reproduction._statement import Statement
from unitcircle_reproduction.orthogonal._memory import LSTM, TANH, TYPED
from unitcircle_reproduction.orthogonal._stabilizer import CHARACTERS, number_words

UNITS, WINDOW, STEPS = 64, 50, 800
RATES = (3e-3, 1e-2, 3e-2)
_TYPED = Statement(
    "typed-characters",
    "Strongly-typed networks on characters",
    "Networks without a recurrent weight matrix learn a language model as well as a tanh-RNN and an LSTM (Balduzzi and "
    "Ghifary).",
    TYPED,
    (TANH, LSTM),
    Standing.WORSE,
)


def claims(context: Context, /) -> Iterator[Claim]:
    """Train the three cells on numbers in English words."""
    if context.leaves_out("orthogonal/characters"):
        return
    text = context.studies / "orthogonal-characters.txt"
    with written_whole(text) as file:
        file.write(number_words(CHARACTERS, context.draws).encode())
    options = {"steps": STEPS, "evaluate_every": STEPS // 4, "batch_size": 20, "measure_at": ()}
    experiment = Experiment(
        CharacterLanguageModel(str(text), WINDOW),
        sizes=(UNITS,),
        learning_rates=RATES,
        further_rates=FURTHER,
        title="numbers in English words",
        options=options,
    )
    members = (
        Contender(TYPED, "strongly_typed"),
        Contender(TANH, "tanh"),
        Contender(LSTM, "lstm", "torch_default + forget_bias"),
    )
    group = contenders(context, "orthogonal-characters", members, experiment)
    yield claim_on(
        _TYPED,
        {"numbers in English words": group},
        f"All have n = {UNITS} units and windows of {WINDOW} characters from the zero state; lower is better.",
    )
