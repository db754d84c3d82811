"""JAX and flax: initializers in the form of JAX's own, initialization gate by gate, and measurements by scan.

``initializer("orthogonal")`` has the form of ``jax.nn.initializers.orthogonal()``, ``(key, shape, dtype) -> Array``.
``initialize(params, recurrent="orthogonal", bias="forget_bias", key=0)`` fills every gate of every flax cell of a tree
of parameters; ``initialize_`` fills an nnx module in place; ``to_layers`` returns the layers of either for
``unitcircle.diagnose``. ``gradient_flow``, ``lyapunov_exponents`` and ``eigenvalues_along`` measure any
``step(x, state) -> state``; ``live_scans`` finds the scans that a whole function runs, and measures gradients at their
states.
"""

from unitcircle.errors import MissingExtraError

try:
    import jax as _jax
except ImportError as error:
    raise MissingExtraError("unitcircle.jax", "jax", "jax") from error

from unitcircle.jax._cells import named_leaves as named_leaves
from unitcircle.jax._eigenvalues_along import StepEigenvalues as StepEigenvalues
from unitcircle.jax._eigenvalues_along import eigenvalues_along as eigenvalues_along
from unitcircle.jax._eigenvalues_along import jacobian as jacobian
from unitcircle.jax._flossing import gradient_flossing as gradient_flossing
from unitcircle.jax._gradient_flow import GradientFlow as GradientFlow
from unitcircle.jax._gradient_flow import gradient_flow as gradient_flow
from unitcircle.jax._initialize import Filled as Filled
from unitcircle.jax._initialize import Initialization as Initialization
from unitcircle.jax._initialize import initialize as initialize
from unitcircle.jax._initialize import initialize_ as initialize_
from unitcircle.jax._initializer import initializer as initializer
from unitcircle.jax._layers import to_layers as to_layers
from unitcircle.jax._live_scans import LiveScan as LiveScan
from unitcircle.jax._live_scans import LiveScans as LiveScans
from unitcircle.jax._live_scans import live_scans as live_scans
from unitcircle.jax._lyapunov import LyapunovExponents as LyapunovExponents
from unitcircle.jax._lyapunov import lyapunov_exponents as lyapunov_exponents

__all__ = [
    "Filled",
    "GradientFlow",
    "Initialization",
    "LiveScan",
    "LiveScans",
    "LyapunovExponents",
    "StepEigenvalues",
    "eigenvalues_along",
    "gradient_flossing",
    "gradient_flow",
    "initialize",
    "initialize_",
    "initializer",
    "jacobian",
    "live_scans",
    "lyapunov_exponents",
    "named_leaves",
    "to_layers",
]

del _jax
