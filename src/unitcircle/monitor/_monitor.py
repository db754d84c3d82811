"""The monitor: measures watched weights while training goes on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from operator import index
from time import perf_counter
from types import TracebackType
from typing import Any, Self, cast
from uuid import uuid4

import numpy as np

from unitcircle.diagnosis import Finding, Place, is_live
from unitcircle.errors import ArgumentError
from unitcircle.monitor._alarm import Alarm, OnFinding, TrainingStopped, UnitcircleWarning
from unitcircle.monitor._delivery import Delivery
from unitcircle.monitor._film import is_frame
from unitcircle.monitor._history import History
from unitcircle.monitor._json_lines import Sinks, sinks_of
from unitcircle.monitor._loss import LossPeak
from unitcircle.monitor._measurement import DIRECT, GROUPS, BlockMonitor
from unitcircle.monitor._options import Options
from unitcircle.monitor._pace import Cost, Pace
from unitcircle.monitor._record import Record
from unitcircle.monitor._weights import Block, NamedWeights, Role, Weights

SELDOM = 10
"""Measurements from one exact measurement, or one of a batch, to the next."""
EIGENVALUES_SECONDS = 1.5e-9
"""Time of all eigenvalues, and the first time a polar factor, over n³ on one core of today, until it is measured."""
FIRST_EXACT = 0.1
"""Seconds that a first exact measurement may take; beyond it waits until it is within the share."""


class Monitor:
    """Watch recurrent and square weights during training.

    Call :meth:`step` once an optimizer step, after the backward pass and before ``optimizer.step()``::

        with Monitor(model, every=100) as monitor:
            for inputs, target in data:
                loss = criterion(model(inputs), target)
                loss.backward()
                monitor.step(loss=loss)
                optimizer.step()
                optimizer.zero_grad()

    Between measurements a call counts and compares. A measurement costs what :attr:`cost` says, and waits for its turn
    until it fits into its share of the time. Nothing of the graph or the activations is kept alive; kept are, for each
    weight, a copy of what it was at first, two vectors, and for one step a copy of what it was before that step.

    Parameters
    ----------
    model
        A ``torch.nn.Module``, compiled, wrapped for data parallelism (rank 0 measures) or neither; or, for any other
        framework, a function without arguments that returns the weights: name → ``(n, n)``.
    every
        Fewest optimizer steps between measurements.
    metrics
        Groups of metrics, all by default: see :data:`unitcircle.monitor.METRICS`.
    sinks
        Where records go: a function ``(record, step)``, such as :class:`JsonLines`, or a path, which stands for a file
        of JSON lines; or several. One that raises is warned of once, and ends neither the training nor the others.
    names
        Names of square weights that are recurrent: ``nn.Linear`` modules, or parameters, that a loop of yours applies
        at every step.
    square_limit
        Most square weights that are watched besides, which no recurrent layer owns and nobody named: their numbers, and
        the findings that are not about time. Of more that train, as many are taken as have 2²⁴ entries in all, evenly
        spread over the network.
    batch
        For gradient by lag, leading exponent, saturation and dead units: a small batch as
        :func:`unitcircle.dynamics.gradient_flow` takes it, or a function that returns one.
    loss
        The loss of that batch, likewise.
    overhead
        Largest share of the training time; 1 is no limit.
    rng
        Generator or seed of the searches.
    rules
        Codes, or beginnings of codes, of the findings to look for; all UC3xx by default.
    on_finding
        ``"warn"``, ``"stop"`` (raise :class:`TrainingStopped` at a warning or an error), ``"ignore"``, or a function
        of the finding.

    Raises
    ------
    ArgumentError
        An argument breaks its rule, or the module holds nothing to watch.
    UnknownNameError
        No such metric, code or square weight.

    Examples
    --------
    >>> import numpy as np
    >>> W, kept = np.diag([0.5, 0.25]), []
    >>> with Monitor(lambda: {"W": W}, every=1, overhead=1.0, sinks=[lambda record, step: kept.append(record)]) as m:
    ...     m.step(loss=2.0)
    >>> kept[0]["W/radius"], kept[0]["loss"]
    (0.5, 2.0)
    """

    def __init__(  # noqa: PLR0913  (what is watched, when, where it goes)
        self,
        model: Any,
        /,
        *,
        every: int = 100,
        metrics: Sequence[str] | str = GROUPS,
        sinks: Sinks = "unitcircle.jsonl",
        names: Sequence[str] | str = (),
        square_limit: int = 16,
        batch: Any = None,
        loss: Callable[..., Any] | None = None,
        overhead: float = 0.01,
        rng: np.random.Generator | int = 0,
        rules: Sequence[str] | str = (),
        on_finding: OnFinding = "warn",
    ) -> None:
        options = Options(
            every=every,
            metrics=metrics,
            names=names,
            square_limit=square_limit,
            batch=batch,
            loss=loss,
            overhead=overhead,
            rng=rng,
            rules=rules,
            on_finding=on_finding,
        )
        every, names, square_limit = options.every, cast("Sequence[str]", options.names), options.square_limit
        self._delivery = Delivery(sinks_of(sinks))
        self._torch: Any = None
        weights: Weights
        if is_live(model):
            # It needs torch, which is here since the model is.
            from unitcircle.monitor import _torch_weights  # noqa: PLC0415

            self._torch = _torch_weights
            model = self._torch.unwrapped(model)
            weights = self._torch.TorchWeights(model, names, square_limit)
        elif names or batch is not None:
            raise ArgumentError("model", "must be a torch.nn.Module for names and batch", type(model).__name__)
        elif isinstance(model, Weights):
            weights = model
        elif callable(model):
            weights = NamedWeights(cast("Callable[[], Mapping[str, Any]]", model))
        else:
            rule = "must be a torch.nn.Module or a function that returns weights"
            raise ArgumentError("model", rule, type(model).__name__)
        self._model, self._weights = model, weights
        self._groups = frozenset(options.metrics)
        self._batch, self._batch_loss = batch, loss
        self._batch_failed = False
        self._failures: list[str] = []
        self._rng = cast("np.random.Generator", options.rng)
        self._blocks: dict[str, BlockMonitor] = {}
        self._places: dict[str, tuple[Place, Role]] = {}
        self._pace = Pace(every, overhead)
        self._history = History()
        self._alarm = Alarm(on_finding, options.rules)
        self._loss = LossPeak()
        self._run = uuid4().hex[:12]
        # Kind of measurement → measurement at which it was last made, and what it costs (s; of eigenvalues per n³).
        self._seldom: dict[str, tuple[int | None, float]] = {"exact": (None, EIGENVALUES_SECONDS), "batch": (None, 0.0)}
        self._samples = 0
        self.should_stop = False
        # What measuring imports is no cost of the first measurement, whose time says when the next one fits.
        BlockMonitor(self._groups, np.random.default_rng(0)).measure(Block(Place(), np.diag([1.0, 0.5])), exact=True)

    def step(self, step: int | None = None, loss: Any = None) -> None:
        """Note an optimizer step: call it after the backward pass and before ``optimizer.step()``.

        Parameters
        ----------
        step
            What to call the step in the records; the number of calls before this one by default.
        loss
            The loss of this step, a number or a tensor; a tensor on a device is not waited for.

        Raises
        ------
        ArgumentError
            A step that is no whole number, a loss that is not one number; at the first measurement, a batch that cannot
            be measured.
        TrainingStopped
            A finding, if ``on_finding="stop"``.
        """
        if step is not None:
            try:
                step = index(step)
            except TypeError as error:
                raise ArgumentError("step", "must be a whole number", repr(step), "monitor.step(loss=loss)") from error
        pace = self._pace
        call = pace.call()
        if "loss" in self._groups:
            self._loss.note(loss)
        if call < pace.due - 1:
            pace.passed()
            return
        if self._torch is not None and not self._torch.is_main_process():
            return
        if call < pace.due:
            self._keep()
            return
        findings, failures = self._record(call if step is None else step)
        if pace.due == call + 1:
            self._keep()
        for failure in failures:
            warnings.warn(failure, UnitcircleWarning, stacklevel=2)
        for finding in findings:
            try:
                self._alarm.report(finding)
            except TrainingStopped:
                self.should_stop = True
                raise

    def _keep(self) -> None:
        """Copy the weights before the step whose update is measured, unless it has to wait."""
        if self._pace.put_off() or "update" not in self._groups:
            return
        self._weights.settle()
        with self._pace.spending():
            for name, block in self._weights.blocks().items():
                self._of(name).keep(block)

    def _record(self, step: int) -> tuple[list[Finding], list[str]]:
        self._weights.settle()
        start = perf_counter()
        with self._pace.spending():
            record, seldom = self._measure()
            self._history.add(step, _numbers(record), self._places)
            findings = list(self._alarm.findings(self._history, self._pace.measurements))
            if findings:
                record["findings"] = findings
            failures = self._failures + self._delivery.send(record, step)
            self._failures = []
        self._pace.measured(perf_counter() - start, seldom)
        return findings, failures

    def _measure(self) -> tuple[Record, float]:
        blocks = self._weights.blocks()
        self._places = {name: (block.place, block.role) for name, block in blocks.items()}
        cost = self._pace.cost()
        record: Record = {"run": self._run, "monitor/seconds": cost.seconds, "monitor/interval": float(cost.interval)}
        if self._pace.measurements:
            record["monitor/share"] = cost.share
        record |= self._loss.taken() if "loss" in self._groups else {}
        if "gradient" in self._groups and not math.isnan(norm := self._weights.gradient_norm()):
            record["gradient_norm"] = norm
        extra = self._exact_seconds(blocks)
        eigenvalues: dict[str, np.ndarray] = {}
        start = perf_counter()
        for name, block in blocks.items():
            found, values = self._of(name).measure(
                block, exact=len(block.value) <= DIRECT or (extra > 0 and block.recurrent)
            )
            record |= {f"{name}/{metric}": value for metric, value in found.items()}
            if values is not None:
                eigenvalues[name] = values
        if eigenvalues:
            record["eigenvalues"] = eigenvalues
        if extra > 0:
            extra = perf_counter() - start
            self._seldom["exact"] = (self._pace.measurements, extra / _cubes(blocks))
        return record, max(extra, 0.0) + self._sample(record)

    def _turn(self, kind: str) -> bool:
        last = self._seldom[kind][0]
        return last is None or self._pace.measurements - last >= SELDOM

    def _exact_seconds(self, blocks: Mapping[str, Block]) -> float:
        """Return what the eigenvalues of the weights that are not small will cost; 0 where it is not their turn."""
        seconds = self._seldom["exact"][1] * _cubes(blocks) if {"radius", "drift"} & self._groups else 0.0
        self._pace.reserving = seconds > 0 or self._samples_batch
        if seconds == 0 or not self._turn("exact"):
            return 0.0
        first = self._pace.measurements == 0 and seconds <= FIRST_EXACT
        return seconds if first or self._pace.affords(seconds) else 0.0

    @property
    def _samples_batch(self) -> bool:
        return self._batch is not None and bool({"flow", "exponent", "states"} & self._groups)

    def _sample(self, record: Record) -> float:
        if not self._samples_batch or not self._turn("batch"):
            return 0.0
        # First with the first measurement, which shows a mistake in it at once, and what later ones began from.
        if self._pace.measurements and not self._pace.affords(self._seldom["batch"][1]):
            return 0.0
        start = perf_counter()
        try:
            batch = self._batch() if callable(self._batch) else self._batch
            found = self._torch.sample(self._model, batch, self._batch_loss, self._groups, rng=0)
        except Exception as error:
            arrived = f"{type(error).__name__}: {error}".removesuffix(".")
            if self._pace.measurements == 0:
                rule = "must be a batch that the model and loss= take, or a function that returns one"
                raise ArgumentError("batch", rule, arrived) from error
            self._seldom["batch"] = (self._pace.measurements, perf_counter() - start)
            if not self._batch_failed:
                self._failures.append(f"the batch could not be measured, and training goes on: {arrived}")
            self._batch_failed = True
            return perf_counter() - start
        record |= found.scalars
        if found.by_lag and is_frame(self._samples):
            record["gradient_by_lag"] = found.by_lag
        self._samples += 1
        for layer, curve in found.by_lag.items():
            reached = curve[np.isfinite(curve)]
            if len(reached):
                record[f"{layer}/gradient_reach"] = float(curve[~np.isnan(curve)][-1] - reached[0])
        seconds = perf_counter() - start
        self._seldom["batch"] = (self._pace.measurements, seconds)
        return seconds

    def _of(self, name: str) -> BlockMonitor:
        return self._blocks.setdefault(name, BlockMonitor(self._groups, self._rng))

    @property
    def cost(self) -> Cost:
        """What the monitor has cost so far: steps, measurements, seconds, share of the time, interval."""
        return self._pace.cost()

    def report(self) -> str:
        """Return what the monitor has cost, as a sentence."""
        return str(self.cost)

    def close(self) -> None:
        """Close the sinks that can be closed."""
        for failure in self._delivery.close():
            warnings.warn(failure, UnitcircleWarning, stacklevel=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs to go on, for the checkpoint.

        Returns
        -------
        dict
            Plain values, and arrays: torch tensors for a module (``torch.load(weights_only=True)`` reads them), else
            NumPy's.
        """
        wrap: Callable[[np.ndarray], Any] = np.array if self._torch is None else import_module("torch").tensor
        return {
            "run": self._run,
            "pace": self._pace.state_dict(),
            "history": self._history.state_dict(),
            "alarm": self._alarm.state_dict(),
            "samples": self._samples,
            "seldom": {kind: list(value) for kind, value in self._seldom.items()},
            "blocks": {
                name: {key: wrap(array) for key, array in block.state_dict().items()}
                for name, block in self._blocks.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go on from what :meth:`state_dict` returned.

        Parameters
        ----------
        state
            The state.

        Raises
        ------
        ArgumentError
            It is not one, or one of a model with other weights; then nothing has changed.
        """
        pace, history, alarm = Pace(self._pace.every, self._pace.overhead), History(), self._alarm.again()
        blocks: dict[str, BlockMonitor] = {}
        try:
            run, samples = str(state["run"]), int(state["samples"])
            seldom = {kind: (last, float(cost)) for kind, (last, cost) in state["seldom"].items()}
            pace.load_state_dict(state["pace"])
            history.load_state_dict(state["history"])
            alarm.load_state_dict(state["alarm"])
            for name, arrays in state["blocks"].items():
                blocks[name] = BlockMonitor(self._groups, self._rng)
                blocks[name].load_state_dict(arrays)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            arrived = f"{type(state).__name__} ({type(error).__name__}: {error})"
            raise ArgumentError("state", "must be what state_dict returned", arrived) from error
        # Empty before the first measurement.
        if blocks:
            _compare(blocks, self._weights.blocks())
        self._run, self._samples, self._seldom = run, samples, seldom
        self._pace, self._history, self._alarm, self._blocks = pace, history, alarm, blocks


def _numbers(record: Record) -> dict[str, float]:
    return {name: value for name, value in record.items() if isinstance(value, float)}


def _cubes(blocks: Mapping[str, Block]) -> float:
    sizes = (len(block.value) for block in blocks.values() if block.recurrent)
    return float(sum(n**3 for n in sizes if n > DIRECT))


def _compare(saved: Mapping[str, BlockMonitor], blocks: Mapping[str, Block]) -> None:
    remedy = "Give it to a monitor of the same model, with the same names and square_limit."
    if saved.keys() != blocks.keys():
        rule = f"must be of the weights {', '.join(blocks)}"
        raise ArgumentError("state", rule, ", ".join(saved), remedy)
    for name, block in blocks.items():
        if saved[name].size not in {None, len(block.value)}:
            rule = f"must be of a weight {name} of {len(block.value)} units"
            raise ArgumentError("state", rule, f"{saved[name].size}", remedy)
