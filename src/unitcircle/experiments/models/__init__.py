"""Models: cells that process many runs at once, and the networks built from them.

=============================  ==================================================================================
specification                  cell
=============================  ==================================================================================
``tanh``, ``relu``,            plain recurrences
``linear``
``leaky``                      a rate network in discrete time, ``alpha``
``lstm``, ``gru``              gated cells, equal to torch's
``orthogonal``                 tanh-RNN whose weight keeps its singular values, ``map``: ``cayley``, ``expm``
``unitary_evolution``          uRNN: complex, unitary by construction, ``permutation``
``strongly_typed``             T-RNN: no recurrent weight
``stack``                      deep feed-forward stack, ``depth``, ``activation``: ``linear``, ``tanh``, ``relu``
=============================  ==================================================================================
"""

__all__ = [
    "GRU",
    "LSTM",
    "AnyNetwork",
    "EncoderDecoder",
    "Leaky",
    "Linear",
    "Network",
    "Orthogonal",
    "Parameter",
    "Parameters",
    "Plain",
    "ReLU",
    "Role",
    "Stack",
    "State",
    "StronglyTyped",
    "Tanh",
    "TrainableCell",
    "UnitaryEvolution",
    "select",
    "step_of",
]

from unitcircle._renamed import moved
from unitcircle.experiments.models._cell import Parameter as Parameter
from unitcircle.experiments.models._cell import Parameters as Parameters
from unitcircle.experiments.models._cell import Role as Role
from unitcircle.experiments.models._cell import State as State
from unitcircle.experiments.models._cell import TrainableCell as TrainableCell
from unitcircle.experiments.models._encoder_decoder import EncoderDecoder as EncoderDecoder
from unitcircle.experiments.models._gru import GRU as GRU
from unitcircle.experiments.models._lstm import LSTM as LSTM
from unitcircle.experiments.models._network import Network as Network
from unitcircle.experiments.models._orthogonal import Orthogonal as Orthogonal
from unitcircle.experiments.models._plain import Leaky as Leaky
from unitcircle.experiments.models._plain import Linear as Linear
from unitcircle.experiments.models._plain import Plain as Plain
from unitcircle.experiments.models._plain import ReLU as ReLU
from unitcircle.experiments.models._plain import Tanh as Tanh
from unitcircle.experiments.models._single import select as select
from unitcircle.experiments.models._single import step_of as step_of
from unitcircle.experiments.models._stack import Stack as Stack
from unitcircle.experiments.models._strongly_typed import StronglyTyped as StronglyTyped
from unitcircle.experiments.models._unitary_evolution import UnitaryEvolution as UnitaryEvolution

AnyNetwork = Network | EncoderDecoder
"""A network to be trained: it has parameters, outputs, and cells with recurrent weights."""

__getattr__ = moved(__name__, {"Cell": "unitcircle.experiments.models:TrainableCell"})
