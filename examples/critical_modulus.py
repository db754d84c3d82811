"""Study: is the best modulus of a recurrent weight the critical one for the scale of its inputs?

python examples/critical_modulus.py run digits     # 1,008 runs, six minutes on one core; resumes
python examples/critical_modulus.py run copying    # 1,008 runs, six minutes on one core; resumes
python examples/critical_modulus.py page           # the analysis of the finished settings, as Markdown

Protocol, in the repository before the first run:

Settings. Tasks delayed_digits(blank=16) and copying(delay=1); cells tanh and relu; entries of the input weight normal
such that the root mean square of U x over all steps is s = .1, .3, 1, 3: sixteen settings. Biases start at 0.
Arms. W is a modulus times a Haar orthogonal matrix. Tanh: .6, .8, .95, 1, 1.1, the critical moduli of the four scales,
3.5. ReLU: .6, .8, .95, 1, 1.1, 1.2, the critical √2, 1.7. The critical arm of a setting is that at its critical_gain.
Rates. 1e-3, 3e-3, 1e-2 with Adam, for each arm and setting by itself, by validation score over two tuning seeds that
are not reported. Nothing is extended; a best rate at an edge of the three is counted on the page.
Scores. Test score at the best validation score, eight seeds shared by all arms. A diverged run has the score of the
baseline.
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

Known before: a pilot of 112 runs of tanh at s = .3 and four moduli (.95, 1, 1.19, 1.4; another script, same sizes)
showed that 300 steps separate arms on the digits and teach nothing on copying, whose size was then
a guess: delay 10, 48 units, 3,000 steps.

Amended after the digits, before the first run of copying: delay 1, 32 units, 500 steps, because the guess would take
hours. A pilot of 18 runs (tanh, 48 units, moduli .95, 1.4 and 1.86, s = .3 and 1) showed that this learns.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy import stats

from unitcircle.ensembles import critical_gain
from unitcircle.experiments.studies import Experiment, Store, Study, chosen_rate, execute
from unitcircle.experiments.tasks import Task

SCALES = (0.1, 0.3, 1.0, 3.0)
FIXED = (0.95, 1.0, 1.1)
RATES = (1e-3, 3e-3, 1e-2)
SEEDS, TUNING_SEEDS = 8, 2
OUT = Path("out/studies")
RESAMPLES = 4000
# Task, std of the input weight at which U x has the root mean square 1 (digits: training pixels, with the blank steps).
TASKS = {
    "digits": ("delayed_digits(blank=16)", "gaussian(std=2.31048)", 32, 300, 0.03),
    "copying": ("copying(delay=1)", "gaussian(std=1.0)", 32, 500, 0.02),
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
    options = {"input": weight, "steps": steps, "evaluate_every": 250 if task == "copying" else 100}
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


@dataclass(frozen=True)
class Setting:
    """The reported runs of one setting: arms in the order of their moduli, by seeds."""

    task: str
    cell: str
    scale: float
    scores: np.ndarray
    exponents: np.ndarray
    rates: tuple[float, ...]
    diverged: int

    @property
    def arms(self) -> np.ndarray:
        """The moduli."""
        return np.array(moduli(self.cell))

    @property
    def critical(self) -> float:
        """The critical modulus of the setting."""
        return critical(self.cell, self.scale)

    @property
    def gains(self) -> np.ndarray:
        """Scores, of which larger is better."""
        return self.scores if Task.parse(TASKS[self.task][0]).higher_is_better else -self.scores

    @property
    def best(self) -> float:
        """The modulus of the best mean."""
        return float(self.arms[self.gains.mean(1).argmax()])

    @property
    def resampled(self) -> np.ndarray:
        """The best modulus in every resample of the seeds."""
        chosen = np.random.default_rng(0).integers(SEEDS, size=(RESAMPLES, SEEDS))
        return self.arms[self.gains[:, chosen].mean(2).argmax(0)]

    @property
    def interval(self) -> tuple[float, float]:
        """Of the best modulus."""
        low, high = np.quantile(self.resampled, (0.025, 0.975), method="inverted_cdf")
        return float(low), float(high)

    @property
    def learned(self) -> bool:
        """Whether an arm gains three margins on the baseline."""
        task, *_, margin = TASKS[self.task]
        baseline = Task.parse(task).baseline
        sign = 1 if Task.parse(task).higher_is_better else -1
        return float((self.gains.mean(1) - sign * baseline).max()) > 3 * margin

    def against(self, modulus: float) -> tuple[float, float, float, str]:
        """Return critical minus a fixed modulus, its interval, and the verdict by the declared margin."""
        margin = TASKS[self.task][4]
        (ours,), (theirs,) = (self.gains[self.arms == m] for m in (self.critical, modulus))
        chosen = np.random.default_rng(0).integers(SEEDS, size=(RESAMPLES, SEEDS))
        difference = ours - theirs
        low, high = np.quantile(difference[chosen].mean(1), (0.025, 0.975))
        if low > margin:
            verdict = "better"
        elif high < -margin:
            verdict = "worse"
        else:
            verdict = "no practical difference" if -margin <= low and high <= margin else "open"
        return float(difference.mean()), float(low), float(high), verdict


def read(task: str, cell: str) -> list[Setting]:
    """Return the settings whose reported runs are complete."""
    current = study(task, cell)
    store = Store(OUT / current.name)
    baseline = Task.parse(TASKS[task][0]).baseline
    (experiment,) = current.experiments
    found: list[Setting] = []
    for setting in experiment.settings():
        scores, exponents, rates, diverged = [], [], [], 0
        for label in current.labels:
            rate = chosen_rate(current, experiment, setting, label, store.get)
            records = [] if rate is None else [store.get(r) for r in current.reported_runs(setting, label, rate)]
            ended = [record for record in records if record is not None]
            if rate is None or len(ended) < SEEDS:
                break
            rates.append(rate)
            fine = [record.status == "finished" for record in ended]
            diverged += fine.count(False)
            scores.append([r.summary["test_score"] if ok else baseline for r, ok in zip(ended, fine, strict=True)])
            measured = [r.diagnostics[-1]["lyapunov.leading"] for r, ok in zip(ended, fine, strict=True) if ok]
            exponents.append(float(np.mean(measured)) if measured else np.nan)
        else:
            shape = (setting.input_scale, np.array(scores), np.array(exponents), tuple(rates), diverged)
            found.append(Setting(task, cell, *shape))
    return found


def verdict(settings: list[Setting]) -> str:
    """Return the verdict by the declared rule."""
    counted = [s for s in settings if s.learned]
    if not counted:
        return "**Not decided:** no setting in which something was learned."
    holds = sum(s.interval[0] <= s.critical <= s.interval[1] for s in counted)
    judged = [s.against(fixed)[3] for s in counted for fixed in FIXED]
    if holds >= 0.75 * len(counted) and "worse" not in judged:
        word = "Yes"
    else:
        word = "No" if len(counted) - holds >= 0.5 * len(counted) else "Not decided"
    tally = ", ".join(f"{k} {judged.count(k)}" for k in ("better", "worse", "no practical difference", "open"))
    return (
        f"**{word}.** The interval of the best modulus holds the critical one in {holds} of {len(counted)} settings; "
        f"critical against {len(judged)} fixed ones: {tally}."
    )


def order(settings: list[Setting]) -> str:
    """Return the rank correlation of the best modulus with the scale, over the four scales of one cell."""
    scale = [s.scale for s in settings]
    if len(scale) < len(SCALES):
        return "not measured, scales are missing"
    draws = np.array([s.resampled for s in settings]).T
    low, high = np.quantile([spearman(scale, row) for row in draws], (0.025, 0.975))
    return f"{spearman(scale, np.array([s.best for s in settings])):+.2f} [{low:+.2f}, {high:+.2f}]"


def spearman(scale: list[float], best: np.ndarray) -> float:
    """Return the rank correlation; 0 where every scale has the same best modulus, which has no order."""
    if np.ptp(best) == 0:
        return 0.0
    ranks = [stats.rankdata(values) for values in (scale, best)]
    return float(np.corrcoef(*ranks)[0, 1])


def page() -> None:
    """Print the analysis as Markdown."""
    settings = [s for task in TASKS for cell in CELLS for s in read(task, cell)]
    wanted = [(task, cell, scale) for task in TASKS for cell in CELLS for scale in SCALES]
    missing = [w for w in wanted if w not in {(s.task, s.cell, s.scale) for s in settings}]
    print("# Is the best modulus the critical one?\n")
    print(
        f"Printed by `python examples/critical_modulus.py page` on {datetime.now(UTC):%Y-%m-%d}, from the runs of "
        f"`python examples/critical_modulus.py run digits` and `run copying`; {platform.machine()}, CPU, one core, "
        f"Python {platform.python_version()}; reported seeds 0 to {SEEDS - 1}, tuning seeds 1000 and 1001.\n"
    )
    print(
        "The protocol, with margins and the rule of the verdict, is the head of that file, committed before the runs; "
        "the size of copying was amended before its first run, when the digits had been seen.\n"
    )
    print("## Verdict\n")
    print(verdict(settings))
    if missing:
        print(f"\nOf {len(wanted)} settings {len(missing)} are **not run**, and the verdict says nothing on them: ")
        print("; ".join(f"{t} {c} s = {x:g}" for t, c, x in missing) + ".")
    print("\n## Best modulus by setting\n")
    print("| task | cell | s | critical | best | 95 % | ratio | share | mean at critical | at best | rates |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for s in settings:
        mean = dict(zip(s.arms.tolist(), s.scores.mean(1).tolist(), strict=True))
        rate = dict(zip(s.arms.tolist(), s.rates, strict=True))
        share = (s.resampled == s.critical).mean()
        low, high = s.interval
        print(
            f"| {s.task} | {s.cell} | {s.scale:g} | {s.critical:.3f} | {s.best:.3g} | {low:.3g} to {high:.3g} "
            f"| {s.best / s.critical:.2f} | {share:.2f} | {mean[s.critical]:.3f} | {mean[s.best]:.3f} "
            f"| {rate[s.critical]:g}, {rate[s.best]:g} |" + ("" if s.learned else " nothing learned")
        )
    print(
        "\n*Ratio*: best over critical. *Share*: of resamples in which the critical arm is best. "
        "*Rates*: chosen for the critical and for the best arm.\n"
    )
    for task in TASKS:
        print(f"Spearman correlation of the best modulus with s, {task}, tanh: ", end="")
        print(order([s for s in settings if (s.task, s.cell) == (task, "tanh")]) + ".")
    print("\n## Critical against fixed moduli\n")
    print("Mean difference by seed, positive if critical is better, with its 95 % interval.\n")
    print("| task | cell | s |" + "".join(f" {f:g} |" for f in FIXED))
    print("|---|---|---|" + "---|" * len(FIXED))
    for s in settings:
        cells = [s.against(fixed) for fixed in FIXED]
        text = "".join(f" {d:+.3f} [{a:+.3f}, {b:+.3f}] {v} |" for d, a, b, v in cells)
        print(f"| {s.task} | {s.cell} | {s.scale:g} |{text}")
    print("\n## All arms, and the exponent after training\n")
    print("Mean test score by modulus; below it the mean leading Lyapunov exponent of the trained networks.\n")
    for cell in CELLS:
        print(f"| {cell} | s |" + "".join(f" {m:.3g} |" for m in moduli(cell)) + " rates at an edge | diverged |")
        print("|---|---|" + "---|" * (len(moduli(cell)) + 2))
        for s in (s for s in settings if s.cell == cell):
            print(f"| {s.task} | {s.scale:g} |" + "".join(f" {m:.3f} |" for m in s.scores.mean(1)), end="")
            edges = [s.rates.count(rate) for rate in (RATES[0], RATES[-1])]
            print(f" {edges[0]} low, {edges[1]} high | {s.diverged} |")
            print("| exponent | |" + "".join(f" {x:+.3f} |" for x in s.exponents) + " | |")
        print()
    nearest = [float(s.arms[np.nanargmin(abs(s.exponents))]) for s in settings]
    if nearest:
        hits = sum(m == s.critical for m, s in zip(nearest, settings, strict=True))
        best = sum(m == s.best for m, s in zip(nearest, settings, strict=True))
        print(
            f"The arm whose exponent is nearest 0 after training is the critical one in {hits} and the best one in "
            f"{best} of {len(settings)} settings."
        )


def main() -> None:
    """Train what is missing, or print the page."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("run").add_argument("task", choices=list(TASKS))
    commands.add_parser("page")
    chosen = parser.parse_args()
    if chosen.what == "page":
        page()
        return
    for cell in CELLS:
        current = study(chosen.task, cell)
        print(current.name, execute(current, OUT / current.name, engine="here"), flush=True)


if __name__ == "__main__":
    main()
