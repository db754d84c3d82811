"""Matrices that look like recurrent weights and are not, with the reason."""

from __future__ import annotations

import re
from functools import lru_cache

from unitcircle.checkpoints._forms import form
from unitcircle.checkpoints._tensor import StoredTensor

_OPTIMIZER = re.compile(
    r"(^|[./])(optim(?!izedlstm)\w*|opt|opt_state|adam\w*|rmsprop\w*|momentum\w*|exp_avg\w*|\w*moment[12]?)(:\d+)?([./]|$)",
    re.IGNORECASE,
)

# The first that matches gives the reason, so the more special ones come first.
_NAMED = [
    (r"mask|adjacency|connectivity", "a mask of the connectivity, by its name"),
    (r"dale|sign", "a matrix of signs, by its name"),
    (r"attn|attention|multihead|in_proj", "an attention matrix, by its name"),
    (r"(^|[._/])([qkvo]_proj|w_?[qkv]|(query|key|value)s?(_(key|value|proj|layer|linear)\w*)?)([./]|$)",
     "an attention matrix, by its name"),
    (r"embed|(^|[._/])emb", "an embedding, by its name"),
    (r"conv|downsample|upsample", "a convolution, by its name"),
    (r"(^|[._/])(wo|w_?out|out|output|readout|head|fc\w*|lin(ear)?\w*|dense\w*|mlp|ffn?|proj\w*|classifier|logits)([._/]|$)|\w_(net|head|mlp)([._/]|$)",
     "a feed-forward or readout matrix, by its name"),
]  # fmt: skip
FORMS = 4096
"""Forms of names whose answers are kept."""
RECURRENT = re.compile(r"rec|hh|hidden|rnn|lstm|gru|cell", re.IGNORECASE)
"""Parts of the names of what is recurrent."""


def is_of_optimizer(name: str, /) -> bool:
    """Whether a tensor belongs to the state of an optimizer, by its name."""
    return _is_of_optimizer(form(name))


@lru_cache(FORMS)
def _is_of_optimizer(one: str) -> bool:
    return _OPTIMIZER.search(one) is not None


def named_reason(name: str, /) -> str | None:
    """Return what a matrix is that is not recurrent, by its name, or None where its name does not say so."""
    return _named_reason(form(name))


@lru_cache(FORMS)
def _named_reason(one: str) -> str | None:
    return next((reason for pattern, reason in _NAMED if re.search(pattern, one, re.IGNORECASE)), None)


def suspicion(name: str, tensor: StoredTensor, /) -> tuple[str, bool] | None:
    """Return why a tensor that went into no layer was skipped, and whether a person should decide."""
    if tensor.dtype == "object":
        return "pickled Python objects, which are never executed", False
    if not tensor.is_matrix or min(tensor.shape) < 2:
        return None
    rows, columns = sorted(tensor.shape, reverse=True)
    stacked = columns >= 4 and rows in {2 * columns, 3 * columns, 4 * columns}
    if rows != columns and not (stacked and RECURRENT.search(name)):
        return None
    if reason := named_reason(name):
        return reason, False
    if rows == columns:
        return "square, but its name does not say whether it is recurrent", True
    return f"a stack of {rows // columns} square blocks whose order the file does not tell", True
