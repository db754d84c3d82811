"""A study: initializers, experiments, tuning, and number of repetitions."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import product
from pathlib import Path
from typing import Any, Literal

from unitcircle._printable import printable
from unitcircle._renamed import positional_fields
from unitcircle._specification import of_declared_type
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.experiments.models import Role, TrainableCell
from unitcircle.experiments.studies._described import described_tasks
from unitcircle.experiments.studies._feasibility import check_laws, check_options, check_setting
from unitcircle.experiments.studies._shipped import shipped_studies
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Run
from unitcircle.initializers import Initializer

FIRST_TUNING_SEED = 1000
"""Learning rates are chosen with seeds from here on, never with those that are reported: these are all below."""
EVALUATIONS = 4
"""Least number of evaluations of a run, after that of its untrained self."""
TWIN = " (again)"
"""Suffix of the label of the A/A row: the reference again, with other draws."""


@dataclass(frozen=True)
class Experiment:
    """One task with the cells, sizes and learning rates it is run with.

    Attributes
    ----------
    task
        Specification of the task, or the task.
    cells, sizes
        Specifications of cells, and numbers of units.
    input_scales
        Factors on the input weights; each is compared by itself.
    learning_rates
        From which the best is chosen for every initializer, cell, size and input scale by itself.
    rank_by
        ``"score"`` of the task, or ``"steps"`` to its threshold.
    title
        Name of the task in tables, figures and messages; that of the task by default.
    options
        Every other attribute of :class:`Run`, such as ``steps``, ``batch_size``, ``clip``, ``precision``. A run is
        evaluated at least four times in training, whatever ``evaluate_every`` is.
    further_rates
        Rates that are added at most at either end, each 3.3 times beyond the last, while the best of an initializer is
        there; for that initializer alone. None by default. It needs two learning rates.

    Examples
    --------
    >>> experiment = Experiment("adding(length=50)", cells=("tanh", "lstm"), sizes=(32, 64), options={"steps": 200})
    >>> [(setting.cell, setting.steps) for setting in experiment.settings()][:2]
    [('tanh(size=32)', 200), ('tanh(size=64)', 200)]
    """

    task: str | Task = "delayed_digits"
    cells: tuple[str, ...] = ("tanh",)
    sizes: tuple[int, ...] = (64,)
    input_scales: tuple[float, ...] = (1.0,)
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    rank_by: Literal["score", "steps"] = "score"
    title: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    further_rates: int = 0

    def __post_init__(self) -> None:
        for name in ("cells", "sizes", "input_scales", "learning_rates"):
            if not getattr(self, name):
                raise ArgumentError(name, "must hold at least one entry", "none")
            meant = (
                {str(TrainableCell.parse(cell)) for cell in self.cells} if name == "cells" else set(getattr(self, name))
            )
            if len(meant) < len(getattr(self, name)):
                raise ArgumentError(name, "must hold each entry once", str(list(getattr(self, name))))
        for cell in self.cells:
            if re.search(r"\bsize *=", cell) and {TrainableCell.parse(cell).size} != set(self.sizes):
                remedy = "Leave it out there."
                raise ArgumentError("sizes", f"must be the size that {cell} names", str(list(self.sizes)), remedy)
        for name, rule, right in (
            ("input_scales", "must be finite", math.isfinite),
            ("learning_rates", "must be positive and finite", lambda rate: 0 < rate < math.inf),
        ):
            if wrong := [value for value in getattr(self, name) if not right(value)]:
                raise ArgumentError(name, rule, str(wrong[0]))
        if self.further_rates < 0 or (self.further_rates and len(self.learning_rates) < 2):
            rule = "must not be negative, and be 0 where there is one learning rate"
            raise ArgumentError("further_rates", rule, str(self.further_rates))
        check_options(self.options)
        object.__setattr__(self, "title", printable(str(self.title)))
        if self.rank_by not in {"score", "steps"}:
            raise UnknownNameError("rank_by", self.rank_by, ("score", "steps"))
        task = Task.parse(self.task)
        if self.rank_by == "steps" and math.isnan(task.threshold):
            raise ArgumentError("rank_by", "must be 'score' for a task without a threshold", str(self.task))
        for setting in self.settings():
            check_setting(setting, task)

    def settings(self) -> Iterator[Run]:
        """Yield one run for every cell, size and input scale: what they are compared within, at the first rate."""
        for cell, size, scale in product(self.cells, self.sizes, self.input_scales):
            sized = replace(TrainableCell.parse(cell), size=size)
            run = Run(
                str(Task.unresolved(self.task)),
                str(sized),
                "zeros",
                input_scale=scale,
                learning_rate=self.learning_rates[0],
                **self.options,
            )
            yield replace(run, evaluate_every=min(run.evaluate_every, max(1, run.steps // EVALUATIONS)))


@positional_fields
@dataclass(frozen=True)
class Study:
    """The contents of a study file.

    Learning rates are chosen first, on validation data, with ``tuning_seeds`` separate seeds; then ``seeds`` runs at
    the chosen rate are reported on test data.

    Attributes
    ----------
    name
        Of the study and of its folder of results.
    initializers
        Label → specification of the recurrent weight, or of it and the bias: ``"orthogonal + chrono(max_steps=100)"``.
    experiments
        What they are compared on.
    reference
        Label of the initializer that the others are compared with; the first by default.
    seeds, tuning_seeds
        Repetitions that are reported, and that choose the learning rate.
    first_seed
        The reported seeds count up from here, the tuning seeds from here plus 1,000. A study whose first seed differs
        by at least the number of seeds is an independent repetition.
    twin
        Whether the reference is run once more with other draws, as the noise floor.
    confidence
        Of every interval.
    description
        A sentence for readers of the results.

    Examples
    --------
    >>> adding = Experiment("adding(length=50)", cells=("lstm",), options={"steps": 200})
    >>> labels = {"default": "torch_default", "ours": "orthogonal + chrono(max_steps=50)"}
    >>> study = Study("memory", initializers=labels, experiments=(adding,))
    >>> study.reference, study.labels
    ('default', ('default', 'ours', 'default (again)'))
    """

    name: str
    _: KW_ONLY
    initializers: Mapping[str, str]
    experiments: tuple[Experiment, ...]
    reference: str = ""
    seeds: int = 10
    tuning_seeds: int = 3
    first_seed: int = 0
    twin: bool = True
    confidence: float = 0.95
    description: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            rule = "must be letters, digits, '.', '_' and '-', because it names the folder of results"
            raise ArgumentError("name", rule, repr(self.name))
        if not self.initializers:
            raise ArgumentError("initializers", "must hold at least one entry", "none")
        # What a file calls things is shown on a terminal and on pages.
        labels = {printable(str(label)): text for label, text in self.initializers.items()}
        if len(labels) < len(self.initializers):
            raise ArgumentError("initializers", "must have labels that differ as printed", str(list(labels)))
        object.__setattr__(self, "initializers", labels)
        object.__setattr__(self, "reference", printable(self.reference))
        object.__setattr__(self, "description", printable(" ".join(str(self.description).split())))
        if self.twin and (taken := [label for label in self.initializers if label.endswith(TWIN)]):
            raise ArgumentError("initializers", f"must not be labelled as the A/A row is, '...{TWIN}'", repr(taken[0]))
        if not self.experiments:
            raise ArgumentError("experiment", "must be there at least once", "none")
        if self.seeds < 1 or self.tuning_seeds < 1:
            rule = "must be at least 1"
            raise ArgumentError("seeds and tuning_seeds", rule, f"{self.seeds} and {self.tuning_seeds}")
        if self.first_seed < 0 or self.first_seed + self.seeds > FIRST_TUNING_SEED:
            rule = f"must not be negative, and first_seed + seeds at most {FIRST_TUNING_SEED}: those from there on tune"
            raise ArgumentError("first_seed", rule, f"{self.first_seed}, with {self.seeds} seeds")
        if not 0 < self.confidence < 1:
            raise ArgumentError("confidence", "must be between 0 and 1", str(self.confidence))
        object.__setattr__(self, "reference", self.reference or next(iter(self.initializers)))
        if self.reference not in self.initializers:
            raise UnknownNameError("reference", self.reference, self.initializers)
        # Every specification in the file is parsed now, not in a worker an hour later.
        for experiment in self.experiments:
            for setting in experiment.settings():
                for label in self.labels:
                    check_laws(self._row_setting(setting, label))

    @property
    def labels(self) -> tuple[str, ...]:
        """The rows of a comparison, the A/A row last; :meth:`labels_in` leaves out what a setting has no use for."""
        return (*self.initializers, *([self.reference + TWIN] if self.twin else []))

    @property
    def reported_seeds(self) -> range:
        """The seeds that are reported."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def titles(self) -> dict[str, str]:
        """Task of a run → its title in tables, figures and messages."""
        tasks = [(experiment.title, Task.parse(experiment.task)) for experiment in self.experiments]
        return {task.key_text: title or printable(task.title) for title, task in tasks}

    def labels_in(self, setting: Run, /) -> tuple[str, ...]:
        """Return the rows of one setting, where rows that would train the same runs are merged into one.

        A cell without a recurrent weight to initialize has no A/A row, and one row for each bias initializer, or a
        single row if it has no bias either.

        Parameters
        ----------
        setting
            One of an experiment's settings.

        Returns
        -------
        tuple of str
            Labels, the reference among them, in the order of :attr:`labels`.
        """
        roles = {parameter.role for parameter in TrainableCell.parse(setting.cell).parameters(1).values()}
        if Role.RECURRENT in roles:
            return self.labels
        first: dict[str, str] = {}
        for label in (self.reference, *self.initializers):
            first.setdefault(self._row_setting(setting, label).bias if Role.BIAS in roles else "", label)
        return tuple(label for label in self.initializers if label in first.values())

    def _row_setting(self, setting: Run, label: str) -> Run:
        twin = int(label not in self.initializers)
        recurrent, bias = _parts(self.initializers[label.removesuffix(TWIN) if twin else label])
        return replace(setting, recurrent=recurrent, bias=bias or setting.bias, twin=twin)

    def tuning_runs(
        self, experiment: Experiment, setting: Run, label: str, /, *, rates: Sequence[float] = ()
    ) -> list[Run]:
        """Return the runs that choose the learning rate of one row; none where there is one rate only.

        Parameters
        ----------
        experiment
            The experiment.
        setting
            One of its settings.
        label
            The row.
        rates
            Learning rates; those of the experiment by default. :func:`tuned_runs` adds further ones.

        Returns
        -------
        list of Run
            Learning rates × tuning seeds.
        """
        rates = rates or experiment.learning_rates
        if len(rates) == 1:
            return []
        # The dynamics of tuning runs are not used.
        row = replace(self._row_setting(setting, label), measure_at=())
        first = FIRST_TUNING_SEED + self.first_seed
        seeds = range(first, first + self.tuning_seeds)
        return [replace(row, learning_rate=r, seed=s) for r in rates for s in seeds]

    def reported_runs(self, setting: Run, label: str, learning_rate: float, /) -> list[Run]:
        """Return the runs that are reported of one row, at the rate chosen for it."""
        row = replace(self._row_setting(setting, label), learning_rate=learning_rate)
        return [replace(row, seed=seed) for seed in self.reported_seeds]

    @classmethod
    def load(cls, path: str | os.PathLike[str], /, *, out: str | os.PathLike[str] | None = None) -> Study:
        """Read a study file, or one of those that are shipped by its name (``quick`` or ``quick.toml``).

        Parameters
        ----------
        path
            A TOML file.
        out
            Folder of all results. If the study was executed in its folder ``out/NAME``, users' own tasks are taken from
            the description there, for a comparison: their modules are not imported.

        Returns
        -------
        Study
            The study.

        Raises
        ------
        ArgumentError
            The file does not exist, is not TOML, or breaks a rule.
        UnknownNameError
            A key, task, cell or initializer that does not exist.
        """
        path = Path(path)
        source: Path | Traversable = path
        if not path.is_file() and path.parent == Path() and path.suffix in {"", ".toml"}:
            shipped = files("unitcircle.experiments.studies").joinpath(path.stem + ".toml")
            if shipped.is_file():
                source = shipped
        try:
            values = tomllib.loads(source.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            remedy = f"Shipped studies: {', '.join(shipped_studies())}."
            raise ArgumentError("study", "must be a TOML file that can be read", f"{path} ({error})", remedy) from error
        values = {"name": path.stem} | values
        described = {} if out is None else described_tasks(Path(out) / str(values["name"]))
        return cls.from_dict(values, tasks=described)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], /, *, tasks: Mapping[str, Task] | None = None) -> Study:
        """Return the study that a TOML table describes.

        Parameters
        ----------
        values
            The attributes by name; ``experiment`` is the array of experiments, whose unknown keys are attributes of
            the runs; ``initializers`` is a table of labels or an array of specifications.
        tasks
            Text of a task → the task to use for it.

        Returns
        -------
        Study
            The study.

        Raises
        ------
        UnknownNameError
            A key that does not exist.
        ArgumentError
            A value of another type, or one that breaks a rule.
        """
        keys = dict(values)
        listed = keys.pop("initializers", {})
        inits = {str(text): text for text in listed} if isinstance(listed, list) else listed
        if len(inits) < len(listed):
            raise ArgumentError("initializers", "must hold each entry once", str(listed))
        if not isinstance(inits, Mapping) or not all(isinstance(text, str) for text in inits.values()):
            raise ArgumentError("initializers", "must be a table or a list of specifications", repr(listed))
        tables = keys.pop("experiment", [])
        if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
            raise ArgumentError("experiment", "must be an array of tables, [[experiment]]", repr(tables))
        experiments = tuple(_experiment(table, tasks or {}) for table in tables)
        allowed = {f.name for f in fields(cls)} - {"initializers", "experiments"}
        for name in keys:
            if name not in allowed:
                raise UnknownNameError("key of a study", name, allowed | {"initializers", "experiment"})
        options: dict[str, Any] = {"name": "study"} | of_declared_type(cls, keys)
        return cls(initializers=dict(inits), experiments=experiments, **options)


def _experiment(table: Mapping[str, Any], tasks: Mapping[str, Task]) -> Experiment:
    experiment = {f.name for f in fields(Experiment)} - {"options"}
    run = {f.name for f in fields(Run)} - {"task", "cell", "recurrent", "input_scale", "learning_rate", "seed", "twin"}
    for name in table:
        if name not in experiment | run:
            raise UnknownNameError("key of an experiment", name, experiment | run)
    frozen: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
    options = of_declared_type(Run, {name: value for name, value in frozen.items() if name in run})
    attributes = of_declared_type(Experiment, {name: value for name, value in frozen.items() if name in experiment})
    if (task := tasks.get(attributes.get("task", ""))) is not None:
        attributes["task"] = task
    return Experiment(**attributes, options=options)


def _parts(text: str) -> tuple[str, str | None]:
    """Return the recurrent initializer and the bias of ``"orthogonal + forget_bias"``, ``"chrono"`` or ``"eigen"``."""
    recurrent: str | None = None
    bias: str | None = None
    for part in text.split(" + "):
        init = Initializer.parse(part)
        if init.axes == 1:
            earlier, bias = bias, str(init)
        else:
            earlier, recurrent = recurrent, str(init)
        if earlier is not None:
            raise ArgumentError("initializer", "must name one recurrent weight, one bias, or both", repr(text))
    return recurrent or "torch_default", bias
