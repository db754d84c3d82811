"""Translation: sentences in one language, the same sentences in another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np

from unitcircle.errors import ArgumentError, MissingExtraError
from unitcircle.experiments.tasks._byte_pairs import DROPPED, END, PADDING, SMALLEST, START, BytePairs
from unitcircle.experiments.tasks._task import Batch, Split, Task

Part = Literal["train", "validation", "test"]

_POOL = 16
"""Batches that are drawn together and sorted by length, of which one is taken."""
_HELD_OUT_SIZE = 250


@dataclass(frozen=True)
class Translation(Task):
    r"""Translate sentences, token by token; a subclass provides the sentences.

    A sequence holds the source and, from the row of start tokens on, what the decoder is fed:

    .. code-block:: text

        s_1 s_2 … s_m END PADDING … | START y_1 y_2 … y_k PADDING …      inputs   (T_s + T_t, B)
                                    | y_1   y_2 … y_k END PADDING …      targets  (T_t, B)

    The loss is the cross entropy of the next token; its exponential is the perplexity. The score is BLEU of the
    network's own translations (:meth:`corpus_score`); :meth:`scores` is the share of next tokens that are right.

    Both languages have one vocabulary of byte pairs, learned from the training text. A batch is a sixteenth of a pool
    that is drawn at random and sorted by length: sentences have equal probabilities, and little padding is needed.

    Parameters
    ----------
    vocabulary
        Tokens, of both languages together.
    word_dropout
        Probability with which a token of the input, source or target, is hidden in training; the targets of the loss
        are not hidden.

    References
    ----------
    K. Papineni, S. Roukos, T. Ward, W.-J. Zhu, "BLEU: a method for automatic evaluation of machine translation",
    ACL 2002; M. Post, "A call for clarity in reporting BLEU scores", WMT 2018; S. Bowman et al., "Generating sentences
    from a continuous space", CoNLL 2016, section 3.1, for word dropout.
    """

    every_step = True
    unit = "BLEU"
    ragged = True
    architecture = "encoder_decoder"
    padding: ClassVar[int] = PADDING
    start: ClassVar[int] = START
    end: ClassVar[int] = END

    vocabulary: int = 2000
    word_dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.vocabulary < SMALLEST:
            raise ArgumentError("vocabulary", f"must be at least {SMALLEST} tokens", str(self.vocabulary))
        if not 0 <= self.word_dropout < 1:
            raise ArgumentError("word_dropout", "must be in [0, 1)", str(self.word_dropout))

    @abstractmethod
    def sentences(self, part: Part, /) -> tuple[Sequence[str], Sequence[str]]:
        """Return the sentences of a part in the source language, and the same sentences in the target language."""

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.vocabulary

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.vocabulary

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        corpus = _corpus(self)
        pool = rng.integers(len(corpus.train), size=_POOL * size)
        by_length = pool[np.argsort(corpus.lengths[pool], kind="stable")]
        first = size * rng.integers(_POOL)
        batch = _batch([corpus.train[i] for i in by_length[first : first + size]])
        hidden = (rng.random(batch.inputs.shape) < self.word_dropout) & (batch.inputs > DROPPED)
        batch.inputs[hidden] = DROPPED
        return batch

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        pairs = sorted(_corpus(self).encode(self, split), key=_length)
        for first in range(0, len(pairs), _HELD_OUT_SIZE):
            yield _batch(pairs[first : first + _HELD_OUT_SIZE])

    def decode(self, tokens: np.ndarray, /) -> list[str]:
        """Return the text of every column.

        Parameters
        ----------
        tokens
            ``(T, B)`` integers: targets of a batch, or answers of the network.

        Returns
        -------
        list of str
            B sentences, each up to its end.
        """
        return _corpus(self).tokens.decode(tokens)

    def corpus_score(self, hypotheses: Sequence[str], references: Sequence[str], /) -> float:
        """Return BLEU of a whole corpus, computed by sacrebleu.

        Parameters
        ----------
        hypotheses
            The network's translations.
        references
            The correct translations, in the same order.

        Returns
        -------
        float
            0 to 100.
        """
        return _import_bleu().corpus_score(list(hypotheses), [list(references)]).score

    @property
    def signature(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Sacrebleu's settings and version, to be reported beside every BLEU."""
        metric = _import_bleu()
        # It knows the number of references, one, only after a first score.
        metric.corpus_score([""], [[""]])
        return str(metric.get_signature())


_Pair = tuple[np.ndarray, np.ndarray]


class _Corpus:
    """Tokens of the training text, and the encoder that made them."""

    def __init__(self, task: Translation) -> None:
        source, target = task.sentences("train")
        self.tokens = BytePairs([*source, *target], task.vocabulary)
        self.train = self.encode(task, "train")
        self.lengths = np.array([_length(pair) for pair in self.train])

    def encode(self, task: Translation, part: Part) -> list[_Pair]:
        source, target = (self.tokens.encode(sentences) for sentences in task.sentences(part))
        return list(zip(source, target, strict=True))


@cache
def _corpus(task: Translation) -> _Corpus:
    return _Corpus(task)


def _length(pair: _Pair) -> int:
    return len(pair[0]) + len(pair[1])


def _batch(pairs: Sequence[_Pair]) -> Batch:
    sources, targets = zip(*pairs, strict=True)
    answers = _columns([[*target, END] for target in targets])
    # The decoder is fed the answers one step later.
    fed = np.concatenate([np.full_like(answers[:1], START), np.where(answers[:-1] == END, PADDING, answers[:-1])])
    source = _columns([[*source, END] for source in sources])
    return Batch(np.concatenate([source, fed]), answers, (answers != PADDING).astype(np.float32))


def _columns(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    """Return sequences as the columns of ``(T, B)``, padded behind."""
    columns = np.full((max(map(len, sequences)), len(sequences)), PADDING, np.int64)
    for column, sequence in zip(columns.T, sequences, strict=True):
        column[: len(sequence)] = sequence
    return columns


def _import_bleu() -> Any:
    try:
        from sacrebleu import BLEU  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingExtraError("BLEU", "sacrebleu", "experiments") from error
    return BLEU()
