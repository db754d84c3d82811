"""Tasks: sequences, targets, a loss, a score, and the threshold of the score."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np

from unitcircle._specification import Specification
from unitcircle.experiments._torch import torch

if TYPE_CHECKING:
    from torch import Tensor

Split = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences of one length, time first.

    Attributes
    ----------
    inputs
        ``(T, B, m)`` numbers, or ``(T, B)`` integers below m that stand for unit vectors.
    targets
        ``(B, ...)``, or ``(T, B, ...)`` for a task that answers at every step: integers for classes, else numbers
        ``(..., outputs)``.
    weights
        Weights of the targets, ``(B,)`` or ``(T, B)``: 0 where there is no target, such as padding. None: all are 1.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return self.inputs.shape[1]


@dataclass(frozen=True)
class Task(Specification, ABC):
    """A training problem: deterministic, seeded, and fully described by its parameters.

    Training data are drawn from the generator that :meth:`sample` is passed. Validation and test data are the same for
    every run. A subclass is a frozen dataclass with a ``name``; defining it makes it known to :meth:`parse`.
    """

    kind = "task"
    registry: ClassVar[dict[str, type[Specification]]] = {}
    example = "tomita(grammar=4)"

    every_step: ClassVar[bool] = False
    """Whether there is a target at every step, or only after the last step."""
    classes: ClassVar[bool] = True
    """Whether the targets are classes, with cross entropy as loss, or numbers, with the mean squared error."""
    higher_is_better: ClassVar[bool] = True
    """Whether a larger score is better."""
    unit: ClassVar[str] = "accuracy"
    """Name of the score, with its unit: the label of an axis."""
    whole: ClassVar[bool] = False
    """Whether the score is computed from all outputs together (:meth:`score_of_all`), and is not a mean over them."""
    signature: ClassVar[str] = ""
    """The signature of the library that computes the score, such as sacrebleu's for BLEU; empty if there is none."""
    places: ClassVar[tuple[str, ...]] = ()
    """Parameters that state where the data are, not what they are: checked files in two folders are one task."""
    ragged: ClassVar[bool] = False
    """Whether batches differ in length: then runs are trained one by one."""
    architecture: ClassVar[Literal["recurrent", "encoder_decoder"]] = "recurrent"
    """The network that is built around the cell."""

    inputs: ClassVar[int]
    """m, the number of features per step. This and the next three are properties where they depend on parameters."""
    outputs: ClassVar[int]
    """The number of classes or of numbers in an answer."""
    baseline: ClassVar[float] = math.nan
    """The score of the best answer that ignores the input, or forgets it; NaN if it is not known."""
    threshold: ClassVar[float] = math.nan
    """The score from which the task counts as solved; NaN if there is none."""

    @property
    def key_text(self) -> str:
        """The text that names the task in a run: its own, or that of the ``module(...)`` whose function returned it."""
        return vars(self).get("_key_text", str(self))

    def with_key_text(self, text: str, /, *, title: str = "") -> Self:
        """Return an equal task with another key text, and the title that goes with it."""
        task = copy(self)
        object.__setattr__(task, "_key_text", text)
        object.__setattr__(task, "_key_title", title or text)
        return task

    @classmethod
    def unresolved(cls, text: str | Specification, /) -> Specification:
        """Return the specification of a text or a task as it is written: nothing is imported or opened."""
        return super().unresolved(text.key_text if isinstance(text, Task) else text)

    @classmethod
    def canonical(cls, text: str | Specification, /) -> str:
        """Return the one text of all that name the same task; it is not kept where a file that it names may change."""
        if isinstance(text, str):
            named = cls.registry.get(text.partition("(")[0].strip())
            if named is not None and issubclass(named, Task) and not named.places:
                return super().canonical(text)
        return str(cls.unresolved(text))

    @property
    def identity(self) -> str:
        """The key text with the task's places left at their defaults: the same on every machine."""
        if self._key_text_differs:
            return self.key_text
        task = copy(self)
        for field in fields(self):
            if field.name in self.places:
                object.__setattr__(task, field.name, field.default)
        return str(task)

    @property
    def title(self) -> str:
        """The label in tables and figures: the text without parameters that add nothing, such as unset places.

        The title of a task that a ``module(...)`` names is ``package.module:function``.
        """
        return vars(self).get("_key_title") or self._text(without=self._omissions)

    @property
    def _key_text_differs(self) -> bool:
        return "_key_text" in vars(self)

    @property
    def _omissions(self) -> set[str]:
        """Parameters that a title leaves out."""
        return {name for name in self.places if not getattr(self, name)}

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        """Draw training sequences.

        Parameters
        ----------
        rng
            The only source of randomness.
        size
            B, the number of sequences.

        Returns
        -------
        Batch
            Sequences of one length.
        """

    @abstractmethod
    def held_out(self, split: Split, /) -> Iterator[Batch]:
        """Yield the validation or the test data, the same at every call.

        Parameters
        ----------
        split
            ``"validation"`` or ``"test"``.

        Yields
        ------
        Batch
            Parts of the data, each of sequences of one length.
        """

    def losses(self, outputs: Tensor, targets: Tensor, weights: Tensor | None, /) -> Tensor:
        """Return the mean loss of every run.

        Parameters
        ----------
        outputs
            ``(R, B, outputs)`` or ``(R, T, B, outputs)`` for R runs.
        targets, weights
            As in :class:`Batch`, with R in front.

        Returns
        -------
        Tensor
            ``(R,)``; cross entropy in nats.
        """
        if self.classes:
            # With two axes, classes last: every other layout is several times slower.
            flat = torch.nn.functional.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none")
            losses = flat.view_as(targets)
        else:
            losses = (outputs - targets).square().mean(-1)
        return _mean(losses, weights)

    def scores(self, outputs: Tensor, targets: Tensor, weights: Tensor | None, /) -> Tensor:
        """Return the score of every run: accuracy of classes, mean squared error of numbers.

        Parameters
        ----------
        outputs, targets, weights
            As in :meth:`losses`.

        Returns
        -------
        Tensor
            ``(R,)``.
        """
        if not self.classes:
            return self.losses(outputs, targets, weights)
        return _mean((outputs.argmax(-1) == targets).double(), weights)

    def score_of_all(self, parts: Sequence[tuple[Tensor, Tensor, Tensor | None]], /) -> Tensor:
        """Return the score of every run over all held-out data, for a score that is not a mean over answers.

        Parameters
        ----------
        parts
            Outputs, targets and weights of each part, as in :meth:`losses`.

        Returns
        -------
        Tensor
            ``(R,)``.

        Raises
        ------
        NotImplementedError
            The task is :attr:`whole` and does not override this method.
        """
        raise NotImplementedError

    def solved(self, score: float, /) -> bool:
        """Return whether a score reaches the threshold."""
        return score >= self.threshold if self.higher_is_better else score <= self.threshold


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Return the weighted mean ``(R,)`` over all axes but the first."""
    if weights is None:
        return values.flatten(1).mean(1)
    return (values * weights).flatten(1).sum(1) / weights.flatten(1).sum(1)
