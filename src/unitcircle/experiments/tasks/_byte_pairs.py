"""Tokens of a text: byte pairs, learned from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unitcircle.errors import ArgumentError, MissingExtraError

PADDING, START, END, DROPPED = range(4)
"""Special tokens; those of the text begin after them."""
_FIRST = DROPPED + 1
SMALLEST = _FIRST + 256
"""Tokens that any vocabulary has: every byte is one."""


class BytePairs:
    """Byte-pair encoding of text, without loss: decoding gives back the encoded characters."""

    # It begins with the 256 bytes and joins the most frequent pair of tokens within a word into a new one, until
    # the vocabulary is full. The same sentences give the same tokens.
    #
    # R. Sennrich, B. Haddow, A. Birch, "Neural machine translation of rare words with subword units", ACL 2016;
    # A. Radford et al., "Language models are unsupervised multitask learners" (2019), section 2.2, for bytes.

    def __init__(self, sentences: Sequence[str], vocabulary: int) -> None:
        if vocabulary < SMALLEST:
            raise ArgumentError("vocabulary", f"must be at least {SMALLEST} tokens", str(vocabulary))
        try:
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415  (an extra)
        except ImportError as error:
            raise MissingExtraError("translation", "tokenizers", "experiments") from error
        # The library knows no special token: a text that spells one is a text like any other.
        self._tokenizer = Tokenizer(models.BPE())
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        size = vocabulary - _FIRST
        trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        self._tokenizer.train_from_iterator(sentences, trainer)

    def encode(self, sentences: Sequence[str], /) -> list[np.ndarray]:
        """Return the tokens of every sentence, int64, without start and end."""
        return [np.array(tokens.ids, np.int64) + _FIRST for tokens in self._tokenizer.encode_batch(sentences)]

    def decode(self, tokens: np.ndarray, /) -> list[str]:
        """Return the text of every column of ``(T, B)`` tokens, up to its end."""
        ended = np.cumsum(tokens == END, 0) > 0
        text = (tokens >= _FIRST) & ~ended
        columns = [column[places] - _FIRST for column, places in zip(tokens.T, text.T, strict=True)]
        return self._tokenizer.decode_batch([column.tolist() for column in columns])
