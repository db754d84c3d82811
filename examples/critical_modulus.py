"""Study: is the best modulus of a recurrent weight the critical one for the scale of its inputs?

python examples/critical_modulus.py run digits     # 1,008 runs, about fifteen minutes on one busy core; resumes
python examples/critical_modulus.py run copying    # 1,008 runs, about two hours on one core; resumes

Protocol, in the repository before the first run:

Settings. Tasks delayed_digits(blank=16) and copying(delay=10); cells tanh and relu; entries of the input weight normal
such that the root mean square of U x over all steps is s = .1, .3, 1, 3: sixteen settings. Biases start at 0.
Arms. W is a modulus times a Haar orthogonal matrix. Tanh: .6, .8, .95, 1, 1.1, the critical moduli of the four scales,
3.5. ReLU: .6, .8, .95, 1, 1.1, 1.2, the critical √2, 1.7. The critical arm of a setting is the one at its critical_gain.
Rates. 1e-3, 3e-3, 1e-2 with Adam, for each arm and setting by itself, by validation score over two tuning seeds that are
not reported. Nothing is extended; a best rate at an edge of the three is counted on the page.
Scores. Test score at the best validation score, eight seeds shared by all arms. A diverged run has the baseline's score.
Best modulus. Of the largest mean over seeds (copying: smallest); its 95 % interval from 4,000 bootstrap resamples of
the seeds, all arms together. Bootstrap share: of resamples in which the critical arm is the best.
Against fixed moduli. Critical minus .95, 1 and 1.1, paired by seed, 95 % bootstrap interval. Declared margin of no
practical difference: .03 of accuracy for the digits, .02 nats a step for copying. Interval above the margin: better;
below minus the margin: worse; within: no practical difference; otherwise open.
Order. Spearman correlation of the best modulus with s, tanh, each task; the bootstrap gives its interval.
Verdict. "Yes": the interval of the best modulus holds the critical one in at least three quarters of the settings, and
critical is worse than no fixed modulus anywhere. "No": the interval leaves it out in at least half of the settings.
Otherwise "not decided". Settings in which no arm gains more than three margins on the baseline say nothing and are not
counted. Missing settings are named; a verdict on some of the settings is one on those.

Known before: a pilot of 112 runs of tanh at s = .3 and four moduli (.95, 1, 1.19, 1.4; another script, same sizes) showed
that 300 steps separate arms on the digits and teach nothing on copying, whose 3,000 steps are a guess without a pilot.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from unitcircle.ensembles import critical_gain
from unitcircle.experiments.studies import Experiment, Study, execute

SCALES = (0.1, 0.3, 1.0, 3.0)
FIXED = (0.95, 1.0, 1.1)
RATES = (1e-3, 3e-3, 1e-2)
SEEDS, TUNING_SEEDS = 8, 2
OUT = Path("out/studies")
# Task, std of the input weight at which U x has the root mean square 1 (digits: training pixels, with the blank steps).
TASKS = {
    "digits": ("delayed_digits(blank=16)", "gaussian(std=2.31048)", 32, 300, 0.03),
    "copying": ("copying(delay=10)", "gaussian(std=1.0)", 48, 3000, 0.02),
}
CELLS = ("tanh", "relu")


def critical(cell: str, scale: float) -> float:
    """Return the critical modulus, to the digits of the study."""
    return round(critical_gain(activation=cell, input_std=scale), 4)


def moduli(cell: str) -> list[float]:
    """Return the arms of a cell in order."""
    around = (0.6, 0.8, *FIXED, *((3.5,) if cell == "tanh" else (1.2, 1.7)))
    return sorted({*around, *(critical(cell, scale) for scale in SCALES)})


def study(task: str, cell: str) -> Study:
    """Return the study of one task and cell: four settings."""
    specification, weight, size, steps, _ = TASKS[task]
    options = {"input": weight, "steps": steps, "evaluate_every": steps // 10 if steps > 1000 else 100}
    experiment = Experiment(
        task=specification,
        cells=(cell,),
        sizes=(size,),
        input_scales=SCALES,
        learning_rates=RATES,
        options=options | {"measure_at": (-1,)},
    )
    return Study(
        f"critical-{task}-{cell}",
        initializers={f"{m:g}": f"orthogonal(gain={m})" for m in moduli(cell)},
        experiments=(experiment,),
        reference="1",
        seeds=SEEDS,
        tuning_seeds=TUNING_SEEDS,
        twin=False,
    )


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("run",))
    parser.add_argument("task", choices=list(TASKS))
    chosen = parser.parse_args()
    for cell in CELLS:
        current = study(chosen.task, cell)
        print(current.name, execute(current, OUT / current.name, engine="here"), flush=True)


if __name__ == "__main__":
    main()
