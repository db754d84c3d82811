"""Recurrences given by a few numbers per unit: diagonal state-space models and low-rank networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import reals, to_numpy
from unitcircle.errors import ShapeError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._layer import RecurrentLayer
from unitcircle.recurrence._linear_families import LINEAR_FAMILIES
from unitcircle.recurrence._source import layer_options


def from_diagonal(eigenvalues: Any, /, *, B: Any = None, **options: Any) -> RecurrentLayer:
    """Return the diagonal linear recurrence ``h' = λ ⊙ h + B x``.

    Parameters
    ----------
    eigenvalues
        λ, real or complex, of any shape; units are numbered in row-major order.
    B
        Input weight ``(n, m)``, real or complex, or None.
    **options
        ``name``, ``layer``, ``direction``, ``source`` of :class:`RecurrentLayer`.

    Returns
    -------
    RecurrentLayer
        A layer of kind ``diagonal`` with ``n = λ.size`` units.

    Raises
    ------
    ShapeError
        No eigenvalue, or a ``B`` that does not fit.

    Examples
    --------
    >>> from_diagonal([0.9, 0.5j], name="memory").hidden_size
    2
    """
    diagonal = to_numpy(eigenvalues, argument="eigenvalues").ravel()
    inputs = {} if B is None else {"h": to_numpy(B, argument="B")}
    return RecurrentLayer(
        cell=Cell.DIAGONAL, diagonal=diagonal, inputs=inputs, **layer_options(options, "diagonal", diagonal)
    )


def from_lru(nu_log: Any, theta_log: Any, /, *, B: Any = None, gamma_log: Any = None, **options: Any) -> RecurrentLayer:
    """Return the recurrence of a linear recurrent unit, ``λ = exp(−exp(ν) + i exp(θ))``, ``U = exp(γ) B``.

    Parameters
    ----------
    nu_log, theta_log
        ν and θ ``(n,)``: logarithms of the decay (nats per step) and of the phase (radians per step).
    B
        Input weight ``(n, m)``, or None.
    gamma_log
        γ ``(n,)``, logarithm of the input normalization, or None.
    **options
        As in :func:`from_diagonal`.

    Returns
    -------
    RecurrentLayer
        A layer of kind ``diagonal``.

    Raises
    ------
    ShapeError
        ν and θ differ in shape.

    References
    ----------
    Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", ICML 2023, Lemma 3.2 and section 3.3.

    Examples
    --------
    >>> layer = from_lru(np.full(3, -2.0), np.zeros(3))
    >>> abs(layer.diagonal).round(3)
    array([0.873, 0.873, 0.873])
    """
    nu, theta = reals(nu_log, argument="nu_log"), reals(theta_log, argument="theta_log")
    _check_same_shape("theta_log", theta, "nu_log", nu)
    scaled = B
    if B is not None and gamma_log is not None:
        scaled = np.exp(reals(gamma_log, argument="gamma_log"))[:, None] * to_numpy(B, argument="B")
    with np.errstate(over="ignore", invalid="ignore"):
        eigenvalues = np.exp(LINEAR_FAMILIES["LRU"].log_rest({"nu_log": nu, "theta_log": theta}))
    return from_diagonal(eigenvalues, B=scaled, **layer_options(options, "lru", nu_log))


def from_s4d(A: Any, log_step: Any, /, *, B: Any = None, **options: Any) -> RecurrentLayer:
    """Return the recurrence of a diagonal state space (S4D, S5) under zero-order hold, ``λ = exp(Δ A)``.

    Parameters
    ----------
    A
        Continuous-time eigenvalues, real or complex, ``(H, N)`` for H state spaces of N modes or ``(N,)`` for one.
    log_step
        log Δ, one per state space ``(H,)``, or one per mode in the shape of ``A``.
    B
        Continuous-time input weight ``(n, m)``, discretized as ``(λ − 1)/A · B``; or None.
    **options
        As in :func:`from_diagonal`.

    Returns
    -------
    RecurrentLayer
        A layer of kind ``diagonal`` with H·N units.

    Raises
    ------
    ShapeError
        The steps do not fit the eigenvalues.

    References
    ----------
    Gu et al., "On the Parameterization and Initialization of Diagonal State Space Models", NeurIPS 2022, section 3.1.

    Examples
    --------
    >>> layer = from_s4d(np.array([-0.5, -1.0]), np.zeros(2))
    >>> abs(layer.diagonal).round(3)
    array([0.607, 0.368])
    """
    rates = to_numpy(A, argument="A")
    with np.errstate(over="ignore"):
        rates = rates.astype(np.complex128 if rates.dtype.kind == "c" else np.float64)
        step = np.exp(reals(log_step, argument="log_step"))
    if step.shape != rates.shape:
        if rates.ndim == 0 or step.size not in {1, rates.shape[0]}:
            raise ShapeError(
                "log_step", f"must have one entry per row of A, shape {rates.shape}", f"shape {step.shape}"
            )
        step = step.reshape(-1, *(1,) * (rates.ndim - 1))
    with np.errstate(over="ignore", invalid="ignore"):  # A of positive real part may overflow; the finding says so
        eigenvalues = np.exp(step * rates)
    gains = None
    if B is not None:
        gain = np.where(rates == 0, step, (eigenvalues - 1) / np.where(rates == 0, 1, rates))
        gains = gain.ravel()[:, None] * to_numpy(B, argument="B")
    return from_diagonal(eigenvalues, B=gains, **layer_options(options, "s4d", A))


def from_mamba(A_log: Any, dt_bias: Any, /, **options: Any) -> RecurrentLayer:
    """Return the recurrence of a selective state space at its resting step, ``λ = exp(−softplus(b_Δ) exp(A_log))``.

    Mamba's step depends on the input, ``Δ = softplus(W_Δ x + b_Δ)``; this is its value at ``W_Δ x = 0``.

    Parameters
    ----------
    A_log
        ``(d, N)`` (Mamba) or ``(heads,)`` (Mamba 2).
    dt_bias
        b_Δ, ``(d,)`` or ``(heads,)``.
    **options
        As in :func:`from_diagonal`.

    Returns
    -------
    RecurrentLayer
        A layer of kind ``diagonal`` with d·N units and no input weight, because Mamba's depends on the input.

    Raises
    ------
    ShapeError
        ``dt_bias`` does not fit ``A_log``.

    References
    ----------
    Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, equation 4 and algorithm 2.

    Examples
    --------
    >>> layer = from_mamba(np.zeros(2), np.zeros(2))
    >>> abs(layer.diagonal).round(3)
    array([0.5, 0.5])
    """
    rates, bias = reals(A_log, argument="A_log"), reals(dt_bias, argument="dt_bias")
    if rates.ndim == 0 or bias.shape != rates.shape[:1]:
        raise ShapeError("dt_bias", f"must have shape {rates.shape[:1]}", f"shape {bias.shape}")
    log_eigenvalues = LINEAR_FAMILIES["Mamba"].log_rest({"A_log": rates, "dt_bias": bias})
    return from_diagonal(np.exp(log_eigenvalues), **layer_options(options, "mamba", A_log))


def from_low_rank(
    m: Any,
    n: Any,
    /,
    *,
    inputs: Any = None,
    bias: Any = None,
    leak: Any = 1.0,
    activation: str = "tanh",
    **options: Any,
) -> RecurrentLayer:
    """Return the low-rank network ``h' = (1 − α) h + α (W φ(h) + U x + b)`` with ``W = m nᵀ / N``.

    Parameters
    ----------
    m, n
        Output and input-selection vectors, ``(N, rank)`` each (one-dimensional: rank 1).
    inputs
        U ``(N, inputs)``, or None.
    bias
        b ``(N,)``, or None.
    leak
        α = Δt/τ, a number or ``(N,)``.
    activation
        φ.
    **options
        ``name``, ``layer``, ``source`` of :class:`RecurrentLayer`.

    Returns
    -------
    RecurrentLayer
        The layer, with both factors kept in ``factors``.

    Raises
    ------
    ShapeError
        The factors differ in shape.

    References
    ----------
    Mastrogiuseppe and Ostojic, "Linking connectivity, dynamics, and computations in low-rank recurrent neural
    networks", Neuron 99, 2018, equations 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from_low_rank(np.ones(4), np.ones(4)).gates["h"][0, 0]
    np.float64(0.25)
    """
    left, right = reals(m, argument="m"), reals(n, argument="n")
    left, right = (factor[:, None] if factor.ndim == 1 else factor for factor in (left, right))
    _check_same_shape("n", right, "m", left)
    if left.ndim != 2:
        raise ShapeError("m", "must have shape (N, rank)", f"shape {left.shape}")
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is said where it is measured
        product = left @ right.T / len(left)
    return RecurrentLayer(
        cell=Cell.LOW_RANK_RNN,
        gates={"h": product},
        factors=(left, right),
        inputs={} if inputs is None else {"h": to_numpy(inputs, argument="inputs")},
        biases={} if bias is None else {"h": to_numpy(bias, argument="bias")},
        leak=leak if isinstance(leak, int | float) else reals(leak, argument="leak"),
        activations={"h": activation},
        **layer_options(options, "low-rank", m),
    )


def _check_same_shape(argument: str, array: np.ndarray, other: str, reference: np.ndarray) -> None:
    if array.shape != reference.shape:
        raise ShapeError(argument, f"must have the shape of {other}, {reference.shape}", f"shape {array.shape}")
