"""Tasks: inputs, targets, losses and scores of training problems.

===========================================  ==============================================  =========================
specification                                target                                          score
===========================================  ==============================================  =========================
``adding(length=50)``                        the sum of two marked numbers                   mean squared error
``character_language_model(path=...)``       every next character of a text                  bits per character
``copying(delay=20)``                        ten symbols, after a delay                      cross entropy, nats a step
``data(digest=...)``                         the arrays passed to :func:`from_data`          accuracy, or a metric
``deep_linear_map(size=64)``                 a linear map, from a stack of layers            mean squared error
``delayed_digits(blank=100)``                as ``digits``, after a delay: the default       accuracy
``digits``                                   a digit, from its 64 pixels one by one          accuracy
``ett(path=...)``                            the oil temperature of the next 24 hours        mean squared error
``mackey_glass(tau=17, horizon=84)``         a chaotic series, 84 steps ahead                mean squared error
``mnist(permuted=false)``                    a digit, from its 784 pixels one by one         accuracy
``module(factory="package.module:name")``    the task that a user's function returns         its own
``multi30k(vocabulary=2000)``                the English of a German caption                 BLEU
``tomita(grammar=4)``                        whether a string is in a regular language       balanced accuracy
===========================================  ==============================================  =========================
"""

__all__ = [
    "Adding",
    "Batch",
    "CharacterLanguageModel",
    "Copying",
    "DeepLinearMap",
    "DelayedDigits",
    "Digits",
    "Ett",
    "MackeyGlass",
    "Mnist",
    "Multi30k",
    "OwnData",
    "OwnModule",
    "Split",
    "Task",
    "Tomita",
    "Translation",
    "from_data",
]

from unitcircle.experiments.tasks._adding import Adding as Adding
from unitcircle.experiments.tasks._characters import CharacterLanguageModel as CharacterLanguageModel
from unitcircle.experiments.tasks._copying import Copying as Copying
from unitcircle.experiments.tasks._deep_linear import DeepLinearMap as DeepLinearMap
from unitcircle.experiments.tasks._digits import DelayedDigits as DelayedDigits
from unitcircle.experiments.tasks._digits import Digits as Digits
from unitcircle.experiments.tasks._ett import Ett as Ett
from unitcircle.experiments.tasks._mackey_glass import MackeyGlass as MackeyGlass
from unitcircle.experiments.tasks._mnist import Mnist as Mnist
from unitcircle.experiments.tasks._multi30k import Multi30k as Multi30k
from unitcircle.experiments.tasks._own_data import OwnData as OwnData
from unitcircle.experiments.tasks._own_data import from_data as from_data
from unitcircle.experiments.tasks._own_module import OwnModule as OwnModule
from unitcircle.experiments.tasks._task import Batch as Batch
from unitcircle.experiments.tasks._task import Split as Split
from unitcircle.experiments.tasks._task import Task as Task
from unitcircle.experiments.tasks._tomita import Tomita as Tomita
from unitcircle.experiments.tasks._translation import Translation as Translation
