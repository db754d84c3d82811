"""Independent entries of one law, given by their standard deviation."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, Literal

import numpy as np

from unitcircle._array import Weight, dtype_name, erf, ndtr
from unitcircle.errors import ArgumentError, DtypeError, ShapeError
from unitcircle.initializers._certificate import Certificate, random_law
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number


@dataclass(frozen=True)
class _Independent(Initializer):
    """Independent entries of mean zero: normal or uniform, with a standard deviation that depends on the shape."""

    elementwise = True
    square = False
    uniform: ClassVar[bool] = False

    @abstractmethod
    def _std(self, fan_out: int, fan_in: int) -> float:
        """Return the standard deviation of an entry of a ``(fan_out, fan_in)`` weight."""

    def _weight(self, z: Any) -> Any:
        std = self._std(*_fans(z.shape))
        # std·√3 is the limit of the uniform law, of which erf(z/√2) is a draw between −1 and 1.
        return sqrt(3) * std * erf(z / sqrt(2)) if self.uniform else std * z

    def _measure(self, W: Weight) -> Certificate:
        std = self._std(*_fans(W.value.shape))
        samples = W.value.reshape(*W.batch, -1)
        if np.iscomplexobj(samples):
            samples = np.concatenate([np.real(samples), np.imag(samples)], axis=-1) * sqrt(2)
        if self.uniform:
            limit = sqrt(3) * std
            promise = f"entries ~ U(−{limit:.4g}, {limit:.4g})"
            return random_law(promise, samples, lambda x: np.clip((x / limit + 1) / 2, 0, 1), W.eps)
        return random_law(f"entries ~ N(0, {std:.4g}²)", samples, lambda x: ndtr(x / std), W.eps)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    # A bias of n units has the fans of the n × n weight.
    return shape[-2:][0], shape[-1:][0]


def _check_one_of(owner: Initializer, first: str, second: str) -> None:
    for parameter in (first, second):
        if getattr(owner, parameter) is not None:
            number(owner, parameter, "must be positive", lambda value: value > 0)
    if getattr(owner, first) is not None and getattr(owner, second) is not None:
        arrived = f"{first}={getattr(owner, first)!r}, {second}={getattr(owner, second)!r}"
        raise ArgumentError(f"{first} and {second}", "must not both be given: either decides the other", arrived)


@dataclass(frozen=True)
class Gaussian(_Independent):
    r"""Independent normal entries.

    .. math:: W_{ij} \sim N(0, s^2), \qquad s = r / \sqrt n

    With s = r/√n the spectral radius of a large n × n weight tends to r. At finite n its mean is higher: for r = 1
    it is 1.051 at n = 100 and 1.024 at n = 1000. ``at`` sets the exact size instead: s = r/m(n), with m the mean,
    median or a quantile of the radius for unit entries (:func:`unitcircle.ensembles.std_for_radius`).

    Parameters
    ----------
    std
        s, the standard deviation of an entry, positive.
    radius
        r, the limit of the spectral radius, positive; n is the number of columns. Neither given: radius = 1.
    at
        ``"mean"``, ``"median"`` or a probability p: the radius is r in the mean, in the median, or ``P(ρ ≤ r) = p``,
        whatever n is. Only for square weights.

    Raises
    ------
    ArgumentError
        Both are given, or not positive; ``at`` is given with ``std``, or is not one of these values.

    References
    ----------
    J. Ginibre, "Statistical ensembles of complex, quaternion and real matrices", J. Math. Phys. 6 (1965);
    S. Geman, "The spectral radius of large random matrices", Annals of Probability 14 (1986).

    Examples
    --------
    >>> Gaussian(std=0.1)(np.ones((2, 2)))
    array([[0.1, 0.1],
           [0.1, 0.1]])
    """

    name = "gaussian"
    aliases = ("normal", "ginibre")
    field = "complex"

    std: float | None = None
    radius: float | None = None
    at: str | float | None = None

    def __post_init__(self) -> None:
        _check_one_of(self, "std", "radius")
        if self.at is None:
            return
        if self.std is not None:
            raise ArgumentError("at", "goes with radius, not with std", f"std={self.std}, at={self.at!r}")
        if not isinstance(self.at, str) or self.at not in {"mean", "median"}:
            number(self, "at", "must be 'mean', 'median' or a probability between 0 and 1", lambda at: 0 < at < 1)

    def _weight(self, z: Any) -> Any:
        if self.at is not None and dtype_name(z).startswith("complex"):
            raise DtypeError("z", "must be real where the radius is exact (at=...)", f"dtype {dtype_name(z)}")
        return super()._weight(z)

    def _std(self, fan_out: int, fan_in: int) -> float:
        if self.at is None:
            return self.std or (self.radius or 1.0) / sqrt(fan_in)
        if fan_out != fan_in:
            raise ShapeError("z", "must be square where the radius is exact (at=...)", f"shape ({fan_out}, {fan_in})")
        from unitcircle.ensembles import std_for_radius  # noqa: PLC0415  (start-up time is for those who ask for the exact law)

        return std_for_radius(fan_in, radius=self.radius or 1.0, at=self.at)


@dataclass(frozen=True)
class Uniform(_Independent):
    r"""Independent uniform entries.

    .. math:: W_{ij} \sim U(-a, a), \qquad a = s \sqrt 3

    Parameters
    ----------
    limit
        a, positive.
    std
        s, the standard deviation of an entry, positive. Neither given: a = 1/√n (n columns), which is what
        ``torch.nn.RNN``, ``LSTM`` and ``GRU`` start from; the spectral radius then tends to 1/√3 = 0.577.

    Raises
    ------
    ArgumentError
        Both are given, or not positive.

    Examples
    --------
    >>> W = Uniform(limit=0.1).sample(100, rng=0)
    >>> bool(abs(W).max() <= 0.1)
    True
    """

    name = "uniform"
    aliases = ("torch_default",)
    uniform = True

    limit: float | None = None
    std: float | None = None

    def __post_init__(self) -> None:
        _check_one_of(self, "limit", "std")

    def _std(self, fan_out: int, fan_in: int) -> float:  # noqa: ARG002
        return self.std or (self.limit or 1 / sqrt(fan_in)) / sqrt(3)


@dataclass(frozen=True)
class _VarianceScaling(_Independent):
    """Entries of standard deviation ``1/√fan``, as ``jax.nn.initializers.variance_scaling`` has it."""

    mode: ClassVar[Literal["fan_in", "fan_avg"]] = "fan_in"

    def _std(self, fan_out: int, fan_in: int) -> float:
        return 1 / sqrt(fan_in) if self.mode == "fan_in" else sqrt(2 / (fan_in + fan_out))


@dataclass(frozen=True)
class _GainScaling(_VarianceScaling):
    """Entries of standard deviation ``g/√fan``."""

    gain: float = 1.0

    def __post_init__(self) -> None:
        number(self, "gain", "must be positive", lambda gain: gain > 0)

    def _std(self, fan_out: int, fan_in: int) -> float:
        # Not g times (1/√n): a weight keeps its bits from release to release.
        return self.gain / sqrt(fan_in) if self.mode == "fan_in" else self.gain * super()._std(fan_out, fan_in)


@dataclass(frozen=True)
class LeCunNormal(_VarianceScaling):
    r"""Independent normal entries that keep the variance of the signal through a linear layer.

    .. math:: W_{ij} \sim N(0, 1 / \text{fan\_in})

    References
    ----------
    Y. LeCun, L. Bottou, G. B. Orr, K.-R. Müller, "Efficient BackProp", in Neural Networks: Tricks of the Trade
    (1998), equation 16.

    Examples
    --------
    >>> W = LeCunNormal().sample(200, rng=0)
    >>> round(float(W.std() * 200**0.5), 2)
    1.0
    """

    name = "lecun_normal"
    aliases = ("lecun",)
    field = "complex"


@dataclass(frozen=True)
class LeCunUniform(_VarianceScaling):
    r"""Independent uniform entries that keep the variance of the signal through a linear layer.

    .. math:: W_{ij} \sim U(-a, a), \qquad a = \sqrt{3 / \text{fan\_in}}

    References
    ----------
    Y. LeCun, L. Bottou, G. B. Orr, K.-R. Müller, "Efficient BackProp", in Neural Networks: Tricks of the Trade
    (1998), equation 16.

    Examples
    --------
    >>> W = LeCunUniform().sample(200, rng=0)
    >>> round(float(W.std() * 200**0.5), 2)
    1.0
    """

    name = "lecun_uniform"
    uniform = True


@dataclass(frozen=True)
class XavierNormal(_GainScaling):
    r"""Independent normal entries: a compromise between keeping the signal and keeping the gradient.

    .. math:: W_{ij} \sim N(0, s^2), \qquad s = g \sqrt{2 / (\text{fan\_in} + \text{fan\_out})}

    On a stack of gates fan_out is that of the whole stack, which makes every gate too small: initialize gate blocks.

    Parameters
    ----------
    gain
        g, positive.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 12.

    Examples
    --------
    >>> W = XavierNormal().sample(200, rng=0)
    >>> round(float(W.std() * 200**0.5), 2)
    1.0
    """

    name = "xavier_normal"
    mode = "fan_avg"
    aliases = ("glorot_normal", "xavier", "glorot")
    field = "complex"


@dataclass(frozen=True)
class XavierUniform(_GainScaling):
    r"""Independent uniform entries: a compromise between keeping the signal and keeping the gradient.

    .. math:: W_{ij} \sim U(-a, a), \qquad a = g \sqrt{6 / (\text{fan\_in} + \text{fan\_out})}

    Parameters
    ----------
    gain
        g, positive.

    References
    ----------
    X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 16.

    Examples
    --------
    >>> W = XavierUniform().sample(200, rng=0)
    >>> round(float(W.std() * 200**0.5), 2)
    1.0
    """

    name = "xavier_uniform"
    mode = "fan_avg"
    aliases = ("glorot_uniform",)
    uniform = True


@dataclass(frozen=True)
class KaimingNormal(_GainScaling):
    r"""Independent normal entries that keep the variance of the signal through a ReLU layer.

    .. math:: W_{ij} \sim N(0, s^2), \qquad s = g / \sqrt{\text{fan\_in}}

    Parameters
    ----------
    gain
        g, positive; √2 for ReLU.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, arXiv 1502.01852, equation 10.

    Examples
    --------
    >>> W = KaimingNormal().sample(200, rng=0)
    >>> round(float(W.std() * 200**0.5), 2)
    1.42
    """

    name = "kaiming_normal"
    aliases = ("he_normal", "kaiming", "he")
    field = "complex"

    gain: float = sqrt(2)


@dataclass(frozen=True)
class KaimingUniform(_GainScaling):
    r"""Independent uniform entries that keep the variance of the signal through a ReLU layer.

    .. math:: W_{ij} \sim U(-a, a), \qquad a = g \sqrt{3 / \text{fan\_in}}

    Parameters
    ----------
    gain
        g, positive; √2 for ReLU.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015, arXiv 1502.01852, equation 10.

    Examples
    --------
    >>> W = KaimingUniform().sample(200, rng=0)
    >>> round(float(W.std() * 200**0.5), 2)
    1.42
    """

    name = "kaiming_uniform"
    aliases = ("he_uniform",)
    uniform = True

    gain: float = sqrt(2)
