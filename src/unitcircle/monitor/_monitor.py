"""The monitor: measures watched weights during training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from operator import index
from time import perf_counter
from types import TracebackType
from typing import Any, Self, Unpack
from uuid import uuid4

import numpy as np

from unitcircle.diagnosis import Finding, Place
from unitcircle.errors import ArgumentError, TrainingStopped
from unitcircle.monitor._batch import BatchMeter
from unitcircle.monitor._finding_reporter import UnitcircleWarning
from unitcircle.monitor._history import History
from unitcircle.monitor._json_lines import Sinks, sinks_of
from unitcircle.monitor._loss import LossPeak
from unitcircle.monitor._measurement import DIRECT, BlockMonitor
from unitcircle.monitor._model_weights import weights_of
from unitcircle.monitor._options import CheckedOptions, MonitorOptions
from unitcircle.monitor._pace import Cost, Pace
from unitcircle.monitor._record import MonitorRecord
from unitcircle.monitor._run_line import LARGEST_STEP
from unitcircle.monitor._seldom import SeldomMeasurements
from unitcircle.monitor._sink_group import SinkGroup
from unitcircle.monitor._weights import WeightBlock, WeightRole

FIRST_EXACT = 0.1
"""Seconds that a first exact measurement may take; a longer one waits until it is within the share."""


class Monitor:
    """Watch recurrent and square weights during training.

    Call :meth:`step` once per optimizer step, after the backward pass and before ``optimizer.step()``::

        with Monitor(model, every=100) as monitor:
            for inputs, target in data:
                loss = criterion(model(inputs), target)
                loss.backward()
                monitor.step(loss=loss)
                optimizer.step()
                optimizer.zero_grad()

    Between measurements a call only counts. A measurement is postponed until its cost fits into ``overhead``;
    :attr:`cost` is the time spent. Nothing of the graph or of the activations is kept alive. For each weight the
    monitor keeps a copy of its first value, two vectors and, for one step, a copy of the value before that step.

    Parameters
    ----------
    model
        A ``torch.nn.Module``, which may be compiled or wrapped for data parallelism (rank 0 measures); for any other
        framework a function without arguments that returns the weights as a mapping, name → ``(n, n)``.
    sinks
        Where records go: a function ``(record, step)``, such as :class:`JsonLines`; a path, for a file of JSON lines;
        or several of them. A sink that raises causes one warning and stops neither the training nor the other sinks.
    **options
        Any of these, by keyword:

        ``every`` (100)
            Smallest number of optimizer steps between measurements.
        ``metrics`` (all)
            Groups of metrics, of :data:`unitcircle.monitor.METRICS`.
        ``names`` (none)
            Names of square weights that are recurrent: ``nn.Linear`` modules or parameters that the model's own loop
            applies at every step.
        ``square_limit`` (16)
            Largest number of other square weights to watch: trained weights outside recurrent layers that are not in
            ``names``. They have no findings about time steps. If there are more, evenly spaced ones over the depth of
            the network are watched, with at most 2²⁴ entries in all.
        ``batch`` (none)
            A small batch as :func:`unitcircle.dynamics.gradient_flow` takes it, or a function that returns one, to
            measure gradient by lag, leading exponent, saturation and dead units.
        ``loss`` (none)
            The loss of that batch, as :func:`unitcircle.dynamics.gradient_flow` takes it.
        ``overhead`` (0.01)
            Largest share of the training time to spend; 1 is no limit.
        ``rng`` (0)
            NumPy generator or seed of the eigenvalue searches.
        ``rules`` (all UC3xx)
            Codes of the findings to look for, or prefixes of codes.
        ``on_finding`` (``"warn"``)
            ``"warn"``, ``"stop"`` (raise :class:`TrainingStopped` at a warning or an error), ``"ignore"``, or a
            function of the finding.

    Raises
    ------
    ArgumentError
        An argument breaks its rule, or the module holds nothing to watch.
    UnknownNameError
        No such option, metric, code or square weight.

    Examples
    --------
    >>> import numpy as np
    >>> W, records = np.diag([0.5, 0.25]), []
    >>> with Monitor(lambda: {"W": W}, overhead=1.0, sinks=lambda record, step: records.append(record)) as monitor:
    ...     monitor.step(loss=2.0)
    >>> records[0]["W/radius"], records[0]["loss"]
    (0.5, 2.0)
    """

    def __init__(self, model: Any, /, *, sinks: Sinks = "unitcircle.jsonl", **options: Unpack[MonitorOptions]) -> None:
        checked = CheckedOptions(options)
        self._sinks = SinkGroup(sinks_of(sinks))
        self._weights = weights_of(model, checked)
        self._metrics = frozenset(checked.metrics)
        self._batch = BatchMeter(self._weights, checked.batch, checked.loss, self._metrics)
        self._rng = checked.rng
        self._blocks: dict[str, BlockMonitor] = {}
        self._places: dict[str, tuple[Place, WeightRole]] = {}
        self._pace = Pace(checked.every, checked.overhead)
        self._seldom = SeldomMeasurements()
        self._history = History()
        self._reporter = checked.reporter
        self._loss = LossPeak()
        self._run = uuid4().hex[:12]
        self.should_stop = False
        # Imports and first calls of LAPACK would count as the cost of the first measurement, from which the time of
        # the next is planned.
        BlockMonitor(self._metrics, np.random.default_rng(0)).measure(
            WeightBlock(Place(), np.diag([1.0, 0.5])), exact=True
        )

    def step(self, step: int | None = None, loss: Any = None) -> None:
        """Count an optimizer step and measure if it is time; call it after ``backward`` and before ``optimizer.step``.

        Parameters
        ----------
        step
            Number of the step in the records; by default the number of earlier calls.
        loss
            The loss of this step, a number or a tensor; one on a device is not read before the next measurement.

        Raises
        ------
        ArgumentError
            The step is not a whole number, the loss is not a single number, or, at the first measurement, the batch
            cannot be measured.
        TrainingStopped
            A finding, if ``on_finding="stop"``.
        """
        if step is not None:
            try:
                step = index(step)
            except TypeError as error:
                raise ArgumentError("step", "must be a whole number", repr(step), "monitor.step(loss=loss)") from error
            if abs(step) > LARGEST_STEP:
                raise ArgumentError("step", "must be at most 2**53", f"a number of {step.bit_length()} bits")
        pace = self._pace
        call = pace.call()
        if "loss" in self._metrics:
            self._loss.note(loss)
        # Most calls end here: only counting, and an optional loss.
        if call < pace.due - 1:
            pace.end_call()
            return
        if not self._weights.is_main():
            return
        if call < pace.due:
            self._copy_weights()
            return
        findings, failures = self._record(call if step is None else step)
        # With every=1 the step just measured is also the one before the next measurement.
        if pace.due == call + 1:
            self._copy_weights()
        for failure in failures:
            warnings.warn(failure, UnitcircleWarning, stacklevel=2)
        for finding in findings:
            try:
                self._reporter.report(finding)
            except TrainingStopped:
                self.should_stop = True
                raise

    def _copy_weights(self) -> None:
        """Copy the weights before the step whose update is measured, unless that measurement is put off."""
        if self._pace.put_off() or "update" not in self._metrics:
            return
        # Before the clock starts: what the device still computes is the training's time, not the monitor's.
        self._weights.settle()
        with self._pace.spending():
            for name, block in self._weights.blocks().items():
                self._monitor_of(name).keep(block)

    def _record(self, step: int) -> tuple[list[Finding], list[str]]:
        """Measure, and send the record; return the findings to report, and the warnings."""
        self._weights.settle()
        start = perf_counter()
        with self._pace.spending():
            record, seldom, failures = self._measure()
            numbers = {name: value for name, value in record.items() if isinstance(value, float)}
            self._history.add(step, numbers, self._places)
            findings = list(self._reporter.findings(self._history, self._pace.measurements))
            if findings:
                record["findings"] = findings
            failures += self._sinks.send(record, step)
        self._pace.note(perf_counter() - start, seldom)
        return findings, failures

    def _measure(self) -> tuple[MonitorRecord, float, list[str]]:
        """Return a record, the seconds of it spent on rare measurements, and warnings."""
        blocks = self._weights.blocks()
        self._places = {name: (block.place, block.role) for name, block in blocks.items()}
        cost, measurement = self._pace.cost(), self._pace.measurements
        record: MonitorRecord = {
            "run": self._run,
            "monitor/seconds": cost.seconds,
            "monitor/interval": float(cost.interval),
        }
        # Before the second measurement the share is that of the first alone, before any training time has passed.
        if measurement:
            record["monitor/share"] = cost.share
        record |= self._loss.take_peak() if "loss" in self._metrics else {}
        if "gradient" in self._metrics and not math.isnan(norm := self._weights.gradient_norm()):
            record["gradient_norm"] = norm
        exact = self._affords_exact(blocks)
        eigenvalues: dict[str, np.ndarray] = {}
        start = perf_counter()
        for name, block in blocks.items():
            numbers, values = self._monitor_of(name).measure(
                block, exact=len(block.value) <= DIRECT or (exact and block.recurrent)
            )
            record |= {f"{name}/{metric}": value for metric, value in numbers.items()}
            if values is not None:
                eigenvalues[name] = values
        if eigenvalues:
            record["eigenvalues"] = eigenvalues
        seldom = 0.0
        if exact:
            # An upper bound: the small weights, which are always exact, are on this clock too.
            seldom = perf_counter() - start
            self._seldom.note("exact", measurement, seldom / _cubes(blocks))
        if not self._affords_batch():
            return record, seldom, []
        numbers, seconds, failures = self._batch.measure(first=measurement == 0)
        self._seldom.note("batch", measurement, seconds)
        return record | numbers, seldom + seconds, failures

    def _affords_exact(self, blocks: Mapping[str, WeightBlock]) -> bool:
        """Whether the eigenvalues of the weights that are not small are due, and there is time for them."""
        needed = bool({"radius", "drift"} & self._metrics)
        seconds = self._seldom.cost("exact") * _cubes(blocks) if needed else 0.0
        # Without rare measurements nothing is reserved for them, and the others may use the whole share.
        self._pace.reserving = seconds > 0 or self._batch.is_used
        if seconds == 0 or not self._seldom.is_due("exact", self._pace.measurements):
            return False
        return (self._pace.measurements == 0 and seconds <= FIRST_EXACT) or self._pace.affords(seconds)

    def _affords_batch(self) -> bool:
        """Whether a measurement on the batch is due, and there is time for it."""
        if not self._batch.is_used or not self._seldom.is_due("batch", self._pace.measurements):
            return False
        # Always with the first measurement: an error in the batch is reported at once, and rules need the first value.
        return self._pace.measurements == 0 or self._pace.affords(self._seldom.cost("batch"))

    def _monitor_of(self, name: str) -> BlockMonitor:
        return self._blocks.setdefault(name, BlockMonitor(self._metrics, self._rng))

    @property
    def cost(self) -> Cost:
        """What the monitor has cost so far: steps, measurements, seconds, share of the time, interval."""
        return self._pace.cost()

    def report(self) -> str:
        """Return the cost of the monitor, as a sentence."""
        return str(self.cost)

    def close(self) -> None:
        """Close the sinks that can be closed."""
        for failure in self._sinks.close():
            warnings.warn(failure, UnitcircleWarning, stacklevel=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the state with which a resumed training continues, for its checkpoint.

        Returns
        -------
        dict
            Plain values and arrays: torch tensors for a module (``torch.load(weights_only=True)`` reads them), NumPy
            arrays for anything else.
        """
        return {
            "run": self._run,
            "pace": self._pace.state_dict(),
            "history": self._history.state_dict(),
            "alarm": self._reporter.state_dict(),
            "samples": self._batch.samples,
            "seldom": self._seldom.state_dict(),
            "blocks": {
                name: {key: self._weights.wrap(array) for key, array in block.state_dict().items()}
                for name, block in self._blocks.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Continue from a state that :meth:`state_dict` returned.

        Parameters
        ----------
        state
            The state.

        Raises
        ------
        ArgumentError
            Not such a state, or the state of a model with other weights. The monitor is then unchanged.
        """
        # Everything is read into new objects first, so that a broken state changes nothing.
        pace, history, reporter = (
            Pace(self._pace.every, self._pace.overhead),
            History(),
            self._reporter.without_memory(),
        )
        seldom, blocks = SeldomMeasurements(), dict[str, BlockMonitor]()
        try:
            run, samples = str(state["run"]), int(state["samples"])
            seldom.load_state_dict(state["seldom"])
            pace.load_state_dict(state["pace"])
            history.load_state_dict(state["history"])
            reporter.load_state_dict(state["alarm"])
            for name, arrays in state["blocks"].items():
                blocks[name] = BlockMonitor(self._metrics, self._rng)
                blocks[name].load_state_dict(arrays)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            cause = f"{type(state).__name__} ({type(error).__name__}: {error})"
            raise ArgumentError("state", "must be what state_dict returned", cause) from error
        # A state from before the first measurement holds no weights, and fits every model.
        if blocks:
            _check_same_weights(blocks, self._weights.blocks())
        self._run, self._batch.samples, self._seldom = run, samples, seldom
        self._pace, self._history, self._reporter, self._blocks = pace, history, reporter, blocks


def _cubes(blocks: Mapping[str, WeightBlock]) -> float:
    """Return Σ n³ of the recurrent weights that are not small: the time of their eigenvalues is proportional to it."""
    sizes = (len(block.value) for block in blocks.values() if block.recurrent)
    return float(sum(n**3 for n in sizes if n > DIRECT))


def _check_same_weights(saved: Mapping[str, BlockMonitor], blocks: Mapping[str, WeightBlock]) -> None:
    remedy = "Load it into a monitor of the same model, with the same names and square_limit."
    if saved.keys() != blocks.keys():
        rule = f"must be of the weights {', '.join(blocks)}"
        raise ArgumentError("state", rule, ", ".join(saved), remedy)
    for name, block in blocks.items():
        if saved[name].size not in {None, len(block.value)}:
            rule = f"must be of a weight {name} of {len(block.value)} units"
            raise ArgumentError("state", rule, f"{saved[name].size}", remedy)
