"""Initializers of recurrent weights: named, frozen, serialisable specifications, each a function of a Gaussian array.

``weight = init(z)`` for a standard-normal ``z`` of any array library; ``init.sample(n, rng=0)`` draws it with NumPy;
``init.certificate(W)`` measures the promised property; ``parse("eigen(modulus=0.95)")`` reads ``str(init)`` back.

====================================  ===================================================  =================
initializer                           weight                                               eigenvalues
====================================  ===================================================  =================
:class:`Gaussian`                     entries N(0, std²)                                   disc
:class:`Uniform`                      entries U(−limit, limit)                             disc
:class:`LeCunNormal`                  entries N(0, 1/fan_in); also ``LeCunUniform``        disc
:class:`XavierNormal`                 Glorot's variance; also ``XavierUniform``            disc
:class:`KaimingNormal`                He's variance; also ``KaimingUniform``               disc
:class:`Orthogonal`                   Haar orthogonal or unitary, rectangular too          circle
:class:`OrthogonalSVD`                Lasagne's recipe                                     circle
:class:`Identity`                     s I: the IRNN                                        one point
:class:`Critical`                     Haar, at the edge of chaos of its inputs             circle
:class:`Eigen`                        rotations in all planes (i, i + 1), times modulus    circle
:class:`BlockRotation`                rotations side by side: Henaff, Cayley               circle
:class:`UnitaryEvolution`             uRNN: structured unitary product                     circle
:class:`Ring`                         LRU: complex diagonal                                annulus
:class:`NormalizedPositiveDefinite`   np-RNN                                               (0, 1]
:class:`Antisymmetric`                I + ε (M − Mᵀ − γI)                                  near a vertical line
:class:`Chain`                        delay line, non-normal                               0
:class:`LowRank`                      M Nᵀ / n                                             r, others 0
:class:`Sparse`                       reservoir of exact spectral radius                   disc
:class:`Zeros`                        also for biases                                      0
:class:`Constant`                     also for biases                                      0 and n v
:class:`Chrono`                       forget-gate biases, time constants up to T
:class:`UniformGate`                  forget-gate biases, gates uniform in (0, 1): UGI
:class:`ForgetBias`                   one value for the forget gate
====================================  ===================================================  =================

The parameters of the decay of a linear recurrence have laws of their own kind, :class:`DecayLaw`: :class:`Step`,
:class:`LogRate`, :class:`LogModes`, :class:`Frequencies` (S4D-Lin), :class:`LegS` (HiPPO), :class:`DecayCurve` (RWKV 4
to 6, mLSTM), :class:`HeadCurve` (sLSTM), :class:`ZigzagCurve` (RWKV-7), :class:`Moduli` and :class:`LogPhase` (LRU,
RG-LRU), :class:`Level`. ``decay_law(text)`` gives that of a family.
"""

__all__ = [
    "Antisymmetric",
    "BlockRotation",
    "Certificate",
    "Chain",
    "Chrono",
    "Constant",
    "Critical",
    "DecayCurve",
    "DecayLaw",
    "Eigen",
    "Filled",
    "ForgetBias",
    "Frequencies",
    "GateBias",
    "Gaussian",
    "HeadCurve",
    "Identity",
    "Initialization",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "LeCunNormal",
    "LeCunUniform",
    "LegS",
    "Level",
    "LogModes",
    "LogPhase",
    "LogRate",
    "LowRank",
    "Moduli",
    "NormalizedPositiveDefinite",
    "Orthogonal",
    "OrthogonalSVD",
    "Ring",
    "Sparse",
    "Step",
    "Uniform",
    "UniformGate",
    "UnitaryEvolution",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
    "ZigzagCurve",
    "decay_law",
    "from_dict",
    "legs_frequencies",
    "parse",
    "require",
]


from unitcircle.initializers._antisymmetric import Antisymmetric
from unitcircle.initializers._bias import Chrono, ForgetBias, GateBias, UniformGate
from unitcircle.initializers._block_rotation import BlockRotation
from unitcircle.initializers._certificate import Certificate
from unitcircle.initializers._chain import Chain
from unitcircle.initializers._constant import Constant, Zeros
from unitcircle.initializers._critical import Critical
from unitcircle.initializers._decay import decay_law
from unitcircle.initializers._decay_curves import (
    DecayCurve,
    Frequencies,
    HeadCurve,
    LegS,
    Level,
    LogModes,
    ZigzagCurve,
    legs_frequencies,
)
from unitcircle.initializers._decay_draws import LogPhase, LogRate, Moduli, Step
from unitcircle.initializers._decay_law import DecayLaw
from unitcircle.initializers._eigen import Eigen
from unitcircle.initializers._filled import Filled, Initialization, require
from unitcircle.initializers._identity import Identity
from unitcircle.initializers._initializer import Initializer, from_dict, parse
from unitcircle.initializers._low_rank import LowRank
from unitcircle.initializers._normalized_positive_definite import NormalizedPositiveDefinite
from unitcircle.initializers._orthogonal import Orthogonal, OrthogonalSVD
from unitcircle.initializers._ring import Ring
from unitcircle.initializers._sparse import Sparse
from unitcircle.initializers._unitary_evolution import UnitaryEvolution
from unitcircle.initializers._variance import (
    Gaussian,
    KaimingNormal,
    KaimingUniform,
    LeCunNormal,
    LeCunUniform,
    Uniform,
    XavierNormal,
    XavierUniform,
)
