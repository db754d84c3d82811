"""PyTorch: initialization gate by gate, weights that stay orthogonal during training, and regularizers.

``initialize_(model, recurrent="orthogonal", input="xavier_uniform", bias="chrono(max_steps=784)")`` walks a module,
fills every gate block of every layer and direction on its own, and returns a certificate for each.
"""

from unitcircle.errors import MissingExtraError

try:
    import torch as _torch
except ImportError as error:
    raise MissingExtraError("unitcircle.torch", "torch", "torch") from error

from unitcircle.torch._computed_weights import gradient_of as gradient_of
from unitcircle.torch._computed_weights import has_gradient as has_gradient
from unitcircle.torch._computed_weights import write_weight as write_weight
from unitcircle.torch._copied import copied as copied
from unitcircle.torch._dense import dense as dense
from unitcircle.torch._dense import real as real
from unitcircle.torch._fill import fill_ as fill_
from unitcircle.torch._flossing import gradient_flossing as gradient_flossing
from unitcircle.torch._initialize import Filled as Filled
from unitcircle.torch._initialize import Initialization as Initialization
from unitcircle.torch._initialize import initialize_ as initialize_
from unitcircle.torch._layers import to_layers as to_layers
from unitcircle.torch._modules import RecurrentTensors as RecurrentTensors
from unitcircle.torch._modules import has_own_forward as has_own_forward
from unitcircle.torch._modules import recurrent_tensors as recurrent_tensors
from unitcircle.torch._modules import suspects as suspects
from unitcircle.torch._parametrize import parametrize_orthogonal as parametrize_orthogonal
from unitcircle.torch._random import Rng as Rng
from unitcircle.torch._random import generator_of as generator_of
from unitcircle.torch._regularizers import norm_stabilizer as norm_stabilizer
from unitcircle.torch._regularizers import pascanu_omega as pascanu_omega
from unitcircle.torch._regularizers import soft_orthogonality as soft_orthogonality
from unitcircle.torch._schur import parametrize_schur as parametrize_schur

__all__ = [
    "Filled",
    "Initialization",
    "RecurrentTensors",
    "Rng",
    "copied",
    "dense",
    "fill_",
    "generator_of",
    "gradient_flossing",
    "gradient_of",
    "has_gradient",
    "has_own_forward",
    "initialize_",
    "norm_stabilizer",
    "parametrize_orthogonal",
    "parametrize_schur",
    "pascanu_omega",
    "real",
    "recurrent_tensors",
    "soft_orthogonality",
    "suspects",
    "to_layers",
    "write_weight",
]

del _torch
