"""Fixed points and cycles of a recurrence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle._card import card
from unitcircle._files import written_whole
from unitcircle._keywords import right_keywords
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._batch import refusing
from unitcircle.dynamics._eigenvalues_along import eigenvalues
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.torch import Rng, generator_of, real

_SUFFIXES = (".npz", ".json")


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """Distinct fixed points (period 1) or cycles of the map ``s → F(x, s)``.

    Attributes
    ----------
    states
        ``(m, period, N)``: the points of every cycle, in the order in which the map visits them.
    residual
        ``(m,)``: ``‖F^k(s) − s‖``, k the period.
    eigenvalues
        Complex ``(m, N)``, by decreasing modulus: eigenvalues of the Jacobian of k steps.
    starts
        Number of starts.
    converged
        Number of starts that converged, to any of the points or to one of a shorter period.
    tolerance
        ``‖F^k(s) − s‖ / (1 + ‖s‖)`` below which a start has converged.
    """

    states: np.ndarray
    residual: np.ndarray
    eigenvalues: np.ndarray
    starts: int
    converged: int
    tolerance: float

    def __len__(self) -> int:
        return len(self.states)

    @property
    def period(self) -> int:
        """Number of steps after which a point returns to itself."""
        return self.states.shape[1]

    @property
    def unstable_dimension(self) -> np.ndarray:
        """Number of eigenvalues outside the unit circle ``(m,)``: dimension of the unstable manifold."""
        return (np.abs(self.eigenvalues) > 1).sum(-1)

    @property
    def stable(self) -> np.ndarray:
        """Whether all eigenvalues are inside the unit circle ``(m,)``."""
        return np.asarray((np.abs(self.eigenvalues) < 1).all(-1))

    def save(self, path: str | Path, /) -> None:
        """Write everything to an ``.npz`` or ``.json`` file (complex numbers as pairs), atomically.

        Parameters
        ----------
        path
            The file; its suffix selects the format.

        Raises
        ------
        ArgumentError
            Another suffix.
        """
        path = _path_of(path)
        values = asdict(self)
        if path.suffix == ".npz":
            with written_whole(path) as file:
                np.savez(file, **values)
        else:
            pairs = np.stack([np.real(self.eigenvalues), np.imag(self.eigenvalues)], -1)
            plain = {key: value.tolist() for key, value in values.items() if isinstance(value, np.ndarray)}
            # An empty list does not know the shape it had.
            shape = {"period": self.period, "state_size": self.states.shape[-1]}
            text = json.dumps(values | plain | {"eigenvalues": pairs.tolist()} | shape)
            with written_whole(path) as file:
                file.write(text.encode())

    @classmethod
    def load(cls, path: str | Path, /) -> FixedPoints:
        """Read a file written by :meth:`save`; nothing in it is executed.

        Parameters
        ----------
        path
            A file that ends in ``.npz`` or ``.json``.

        Returns
        -------
        FixedPoints
            The same numbers, bit by bit.

        Raises
        ------
        ArgumentError
            Another suffix.
        """
        path = _path_of(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                values = {key: file[key] for key in file.files}
            states, residual, eigenvalues = values["states"], values["residual"], values["eigenvalues"]
        else:
            values = json.loads(path.read_text())
            n = values["state_size"]
            states = np.array(values["states"], dtype=float).reshape(-1, values["period"], n)
            residual = np.array(values["residual"], dtype=float)
            eigenvalues = np.array(values["eigenvalues"], dtype=float).reshape(-1, n, 2) @ np.array([1, 1j])
        return cls(
            states,
            residual,
            eigenvalues,
            int(values["starts"]),
            int(values["converged"]),
            float(values["tolerance"]),
        )

    def __str__(self) -> str:
        several = "s" if len(self) != 1 else ""
        kind = f"fixed point{several}" if self.period == 1 else f"cycle{several} of period {self.period}"
        starts = f"{self.converged} of {self.starts} start{'s' if self.starts != 1 else ''} converged"
        return f"{len(self)} {kind}, {int(self.stable.sum())} stable ({starts})"

    def _repr_html_(self) -> str:
        columns = (
            "point" if self.period == 1 else "cycle",
            "stability",
            "unstable dimension",
            "largest |λ|",
            "residual",
        )
        rows = [
            (k, "stable" if stable else "unstable" if unstable else "at the margin", int(unstable), largest, residual)
            for k, (stable, unstable, largest, residual) in enumerate(
                zip(
                    self.stable,
                    self.unstable_dimension,
                    np.abs(self.eigenvalues).max(-1).tolist(),
                    self.residual.tolist(),
                    strict=True,
                )
            )
        ]
        return card(str(self), columns=columns, rows=rows)


def _path_of(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise ArgumentError("path", f"must end in {' or '.join(_SUFFIXES)}", f"{path.name!r}")
    return path


@right_keywords
def fixed_points(  # noqa: PLR0913  (all but model and input are options)
    model: nn.Module | Callable[[Any, Any], Any] | Recurrence,
    x: Any = None,
    /,
    *,
    period: int = 1,
    starts: int | Any = 256,
    state: Any = None,
    iterations: int = 200,
    tolerance: float | None = None,
    rng: Rng = 0,
    dtype: torch.dtype | None = torch.float64,
) -> FixedPoints:
    """Find fixed points, or cycles of period k, under a constant input: ``F^k(x, s) = s``.

    From every start, ``½ ‖F^k(s) − s‖²`` is minimized by the Levenberg-Marquardt method, which approaches Newton's
    method near a solution, so that unstable points are found as well as stable ones. The search is not exhaustive: use
    more starts to find more points.

    Parameters
    ----------
    model
        What :func:`as_recurrence` takes.
    x
        The constant input ``(m,)``; zero where None.
    period
        k. Points of a period that divides k are left out, and a cycle counts once.
    starts
        Number of starts to draw, or the starts ``(S, N)`` themselves (they are not modified). Starts are drawn
        uniformly from ``[-1, 1]^N``, except for the c of an LSTM, which is standard normal.
    state
        An example of the state, where :func:`as_recurrence` needs one.
    iterations
        Largest number of iterations.
    tolerance
        ``‖F^k(s) − s‖ / (1 + ‖s‖)`` at which a start has converged; None: ``16 N eps``.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the starts.
    dtype
        Precision; None for the module's own.

    Returns
    -------
    FixedPoints
        Points, residuals, eigenvalues and stability.

    Raises
    ------
    ArgumentError
        A period below 1, or starts of another shape.
    ShapeError
        An input of another shape.

    References
    ----------
    Sussillo and Barak, Opening the black box, Neural Computation 25 (2013), section 2;
    Moré, The Levenberg-Marquardt algorithm: implementation and theory (1978).

    Examples
    --------
    >>> print(fixed_points(lambda x, h: torch.tanh(2 * h), state=torch.zeros(1, dtype=torch.float64)))
    3 fixed points, 2 stable (256 of 256 starts converged)
    """
    if period < 1:
        raise ArgumentError("period", "must be at least 1", f"{period}")
    recurrence = as_recurrence(model, state=state, dtype=dtype)
    n = recurrence.state_size
    with recurrence.as_found(), torch.no_grad():
        drive = None if x is None else real(x, argument="x").detach().to(recurrence.device, recurrence.dtype)
        if drive is not None and drive.ndim != 1:
            raise ShapeError("x", "must be one constant input (m,)", f"shape {tuple(drive.shape)}")
        s = _starts(recurrence, starts, rng)
        tolerance = 16 * n * torch.finfo(s.dtype).eps if tolerance is None else tolerance
        orbit = _Orbit(recurrence, drive, period)
        with refusing("x", "must be an input that the model takes"):
            orbit.end(s[:1])
        chunk = max(1, 2**22 // n**2)
        ends = torch.cat([_descend(orbit, part, iterations, tolerance) for part in s.split(chunk)])
        defect = torch.linalg.vector_norm(orbit.end(ends) - ends, dim=-1)
        scale = 1 + torch.linalg.vector_norm(ends, dim=-1)
        converged = torch.isfinite(defect) & (defect <= tolerance * scale)
        order = torch.argsort(defect[converged])
        cycles = _distinct(orbit, ends[converged][order], period)
        residual = torch.linalg.vector_norm(orbit.end(cycles[:, 0]) - cycles[:, 0], dim=-1)
        spectra = eigenvalues(orbit.jacobian(cycles[:, 0]))
    return FixedPoints(
        cycles.cpu().numpy(), residual.cpu().numpy(), spectra, len(s), int(converged.sum()), float(tolerance)
    )


class _Orbit:
    """k steps under a constant input, as one map."""

    def __init__(self, recurrence: Recurrence, x: Tensor | None, period: int) -> None:
        self._recurrence = recurrence
        self._x = x
        self._period = period

    def _input(self, s: Tensor) -> Tensor | None:
        return None if self._x is None else self._x.expand(len(s), *self._x.shape)

    def points(self, s: Tensor, steps: int) -> list[Tensor]:
        states = [s]
        for _ in range(steps if len(s) else 0):
            states.append(self._recurrence.step(self._input(s), states[-1]))
        return states

    def end(self, s: Tensor) -> Tensor:
        return self.points(s, self._period)[-1]

    def jacobian(self, s: Tensor) -> Tensor:
        product = torch.eye(s.shape[-1], dtype=s.dtype, device=s.device).expand(len(s), -1, -1)
        for point in self.points(s, self._period - 1) if len(s) else ():
            product = self._recurrence.jacobian(self._input(s), point) @ product
        return product


def _starts(recurrence: Recurrence, starts: Any, rng: Rng) -> Tensor:
    n = recurrence.state_size
    if isinstance(starts, int):
        generator = generator_of(rng)
        options: dict[str, Any] = {"generator": generator, "dtype": torch.float64, "device": generator.device}
        s = 2 * torch.rand(starts, n, **options) - 1
        if "c" in recurrence.parts:
            c = recurrence.parts["c"]
            s[:, c] = torch.randn(starts, c.stop - c.start, **options)
    else:
        s = real(starts, argument="starts").detach().clone()
    if s.ndim != 2 or s.shape[-1] != n or not len(s):
        raise ArgumentError("starts", f"must be a positive number, or an array of shape (S, {n})", f"{tuple(s.shape)}")
    return s.to(recurrence.device, recurrence.dtype)


# Every start has its own damping: a step that reduces its cost is taken and the damping divided by 10 (towards
# Newton's method), another is rejected and the damping multiplied by 4 (towards short steps of steepest descent).
def _descend(orbit: _Orbit, s: Tensor, iterations: int, tolerance: float) -> Tensor:
    s = s.clone()
    g = orbit.end(s) - s
    cost = g.square().sum(-1)
    damping = torch.full_like(cost, 1e-3)
    eye = torch.eye(s.shape[-1], dtype=s.dtype, device=s.device)
    for _ in range(iterations):
        # To a tenth of the tolerance: starts that have converged are refined while others have not.
        active = torch.nonzero(cost.sqrt() > 0.1 * tolerance * (1 + torch.linalg.vector_norm(s, dim=-1)))[:, 0]
        active = active[damping[active] < 1e12]
        if not len(active):
            break
        A = orbit.jacobian(s[active]) - eye
        At = A.transpose(-1, -2)
        normal = At @ A + damping[active, None, None] * eye
        move, info = torch.linalg.solve_ex(normal, -At @ g[active].unsqueeze(-1))
        trial = s[active] + move.squeeze(-1)
        defect = orbit.end(trial) - trial
        new_cost = defect.square().sum(-1)
        better = (new_cost < cost[active]) & (info == 0)
        improved = active[better]
        s[improved], g[improved], cost[improved] = trial[better], defect[better], new_cost[better]
        damping[active] = torch.where(better, damping[active] * 0.1, damping[active] * 4)
    return s


def _distinct(orbit: _Orbit, s: Tensor, period: int) -> Tensor:
    """Return each cycle ``(m, period, N)`` of exactly this period once, from points ``(S, N)``, most accurate first."""
    cycles: list[Tensor] = []
    # A double root is found to half the digits only, so that copies of one point differ by more than rounding.
    near = torch.finfo(s.dtype).eps ** 0.375 if len(s) else 0.0
    shorter = [d for d in range(1, period) if period % d == 0]
    for point in s:
        scale = near * (1 + float(torch.linalg.vector_norm(point)))
        points = torch.cat(orbit.points(point.unsqueeze(0), max(period - 1, 1)))
        if any(float(torch.linalg.vector_norm(points[d] - point)) <= scale for d in shorter):
            continue
        if cycles and float(torch.linalg.vector_norm(torch.cat(cycles) - point, dim=-1).min()) <= scale:
            continue
        cycles.append(points[:period])
    return torch.stack(cycles) if cycles else s.new_zeros(0, period, s.shape[-1])
