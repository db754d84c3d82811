"""How long the linear recurrences of a live model remember on given tokens."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from unitcircle._keywords import right_keywords
from unitcircle.checkpoints import config_of, read
from unitcircle.dynamics._batch import call
from unitcircle.dynamics._linear_scans import SAMPLE, Transitions, watched
from unitcircle.dynamics._prepared import prepared
from unitcircle.dynamics._restoration import evaluation_mode
from unitcircle.recurrence import RecurrentLayer

EXACT = 16
"""Up to this many entries the norm of a product comes from its singular values, above from power iterations."""
FIRST_ITERATIONS, ITERATIONS = 12, 3
"""Later ones begin with the vector of the shorter product."""
PLACES = 64
"""Places of a write over which a survival is the median."""
LONG = 64
"""Tokens of a piece of a long sequence."""
LARGEST_LOG, LARGEST_LOG_SINGLE = 600.0, 60.0
"""exp of it is finite in double and in single precision."""


@dataclass(frozen=True, eq=False)
class TokenMemory:
    """The transitions of a linear recurrence along a batch.

    Attributes
    ----------
    layer
        The layer, at rest.
    steps
        T, tokens of each sequence.
    decay
        The 5 %, 50 % and 95 % quantiles of the decay |λ_t| over tokens, heads and channels.
    survival
        L → ``(heads,)``: the share of a write that its head keeps over L tokens in its slowest channel, without what
        a delta rule overwrites; the median over all tokens at which the write may be.
    lags
        ``(k,)``: lags at which the norm of the product is known, from 0 to T.
    log_norms
        ``(k, heads)``: log ‖A_T ⋯ A_{T−lag+1}‖₂ (nats), mean over the batch; with a delta rule of
        its first sequence.
    at_rest
        ``(heads,)``: log |λ| at rest of the slowest channel (nats per token).

    Examples
    --------
    Of one head that keeps 0.9 of its state a token:

    >>> import numpy as np
    >>> from unitcircle.recurrence import from_linear
    >>> layer = from_linear("Mamba-2", {"A_log": np.zeros(1), "dt_bias": np.zeros(1)})
    >>> lags = np.arange(11)
    >>> norms = np.log(0.9) * lags[:, None]
    >>> memory = TokenMemory(layer, 10, (0.9, 0.9, 0.9), {1: np.array([0.9])}, lags, norms, at_rest=norms[1])
    >>> memory.memory.round(2).tolist()  # −1/log 0.9 tokens
    [9.49]
    """

    layer: RecurrentLayer
    steps: int
    decay: tuple[float, float, float]
    survival: Mapping[int, np.ndarray]
    lags: np.ndarray
    log_norms: np.ndarray
    at_rest: np.ndarray

    @property
    def memory(self) -> np.ndarray:
        """``(heads,)``: tokens until 1/e of a write is left, from the decay of the norm over the whole length."""
        with np.errstate(divide="ignore"):
            rate = -self.log_norms[-1] / self.steps
            return np.where(rate > 0, 1 / rate, math.inf)

    @property
    def memory_at_rest(self) -> np.ndarray:
        """``(heads,)``: the same with every input-dependent pre-activation at 0."""
        with np.errstate(divide="ignore"):
            return np.where(self.at_rest < 0, -1 / self.at_rest, math.inf)

    def __str__(self) -> str:
        values = [np.sort(memory)[[len(memory) // 2, 0, -1]] for memory in (self.memory, self.memory_at_rest)]
        (median, shortest, longest), (rest, *_) = ([f"{value:.3g}" for value in three] for three in values)
        text = f"median {median} (at rest {rest}), {shortest} to {longest}; decay of a token "
        text += "{:.3g}, {:.3g}, {:.3g} (5, 50, 95 %)".format(*self.decay)
        shares = ", ".join(f"{np.median(share):.2g} after {lag}" for lag, share in self.survival.items())
        return f"{text}; left of a write: {shares}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "steps": self.steps,
            "decay": list(self.decay),
            "survival": {str(lag): share.tolist() for lag, share in self.survival.items()},
            "lags": self.lags.tolist(),
            "log_norms": self.log_norms.tolist(),
            "memory": self.memory.tolist(),
            "memory_at_rest": self.memory_at_rest.tolist(),
        }


@right_keywords
def token_memory(
    model: nn.Module, batch: Any, /, *, layers: Sequence[RecurrentLayer] | None = None
) -> tuple[tuple[TokenMemory, ...], tuple[str, ...]]:
    """Measure how long the linear recurrences of a model remember on the tokens of a batch, in one forward pass.

    The transition of a token, ``S_t = A_t S_{t-1} + ...``, is taken from the arguments of the model's own scans
    (selective scans, chunked delta rules, gated linear attention, the RG-LRU, mLSTM), in the model's own precision.

    Parameters
    ----------
    model
        A module with linear recurrences of known families.
    batch
        As for :func:`unitcircle.dynamics.prepared`.
    layers
        The linear recurrences of the model, if they are known; None to read them from its state dict.

    Returns
    -------
    tuple
        The measurements, one for each layer that ran a known scan, and one sentence for each that did not.

    Raises
    ------
    ArgumentError
        The model does not run on the batch.

    Examples
    --------
    >>> from transformers import MambaConfig, MambaModel
    >>> model = MambaModel(MambaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1))
    >>> (memory,), unread = token_memory(model, {"input_ids": torch.arange(8)[None]})
    >>> memory.layer.linear.family.name, memory.steps, len(memory.memory), unread
    ('Mamba', 8, 16, ())
    """
    ready = prepared(model, batch)
    if layers is None:
        tensors = {name: value for name, value in ready.model.state_dict().items() if isinstance(value, Tensor)}
        layers = [layer for layer in read(tensors, config=config_of(ready.model)) if layer.linear is not None]
    mixers = _mixers(ready.model, layers)
    found: dict[int, TokenMemory] = {}
    parts: dict[int, list[Transitions]] = {}

    def record(number: int, transitions: Transitions) -> None:
        if number in found:  # another call
            return
        parts.setdefault(number, []).append(transitions)
        layer = layers[number]
        wanted = layer.linear.units if layer.linear is not None and layer.linear.family.name == "Zamba" else 1
        if len(parts[number]) == wanted:  # the channels of all heads of Zamba, which scans head by head
            whole = parts[number]
            found[number] = _measured(layer, whole[0] if wanted == 1 else _together(whole))
            del parts[number]

    lengths: dict[int, int] = {}
    with evaluation_mode(ready.model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _without_cache(ready.model), watched(mixers, record, lengths):
            call(ready.model, ready.batch, None)
    unread: list[str] = []
    for number, layer in enumerate(layers):
        if number in found or layer.linear is None:
            continue
        if layer.linear.family.constant and lengths.get(number):
            logs = torch.as_tensor(np.real(layer.linear.log_eigenvalues)).double()
            logs = logs.reshape(1, 1, layer.linear.units, -1)
            found[number] = _measured(layer, Transitions(logs.expand(1, lengths[number], -1, -1)))
        else:
            unread.append(f"{layer.label} ({layer.linear.family.name}) ran no scan that is known on this batch: "
                          "its memory on these tokens was not measured")  # fmt: skip
    return tuple(found[number] for number in sorted(found)), tuple(unread)


@contextmanager
def _without_cache(model: nn.Module) -> Generator[None]:
    """Let a model of transformers make no cache of its states, which a forward pass alone does not need."""
    config: Any = getattr(model, "config", None)
    before = getattr(config, "use_cache", None)
    try:
        if before:
            config.use_cache = False
        yield
    finally:
        if before:
            config.use_cache = before


def _mixers(model: nn.Module, layers: Sequence[RecurrentLayer]) -> list[nn.Module]:
    """Return for each layer the largest module that holds it and no other."""
    owners = [layer.source.tensors[0].rpartition(".")[0] for layer in layers]
    modules = dict(model.named_modules(remove_duplicate=False))
    found: list[nn.Module] = []
    for owner in owners:
        path = owner
        while path not in modules:
            path = path.rpartition(".")[0]
        while path:
            above = path.rpartition(".")[0]
            if sum(other == above or other.startswith(f"{above}." if above else "") for other in owners) > 1:
                break
            path = above
        found.append(modules[path])
    return found


def _together(parts: Sequence[Transitions]) -> Transitions:
    """Return the transitions of heads that a layer scans one by one."""
    samples = [part.sample.flatten() for part in parts if part.sample is not None]
    decay = torch.cat([part.log_decay for part in parts], dim=2)
    return Transitions(decay, sample=torch.cat(samples) if samples else None)


def _measured(layer: RecurrentLayer, transitions: Transitions) -> TokenMemory:
    log_decay = transitions.log_decay
    steps, heads = log_decay.shape[1:3]
    # With the tokens side by side in memory, as scans hold them, the sums take a fifth of the time.
    total = functional.pad(log_decay.movedim(1, -1).cumsum(-1), (1, 0)).movedim(-1, 1)
    if transitions.left is None or transitions.right is None:
        lags = np.arange(steps + 1)
        norms = _slowest(total[:, -1:] - total).mean(0).flip(0)
    else:
        lags, norms = _product_norms(log_decay[:1], transitions.left, transitions.right)
    survival: dict[int, np.ndarray] = {}
    lag = 1
    while lag <= steps:
        apart = max(1, (steps - lag + 1) // PLACES)
        kept = _slowest(total[:, lag::apart] - total[:, :-lag:apart])
        survival[lag] = kept.flatten(0, 1).median(0).values.exp().cpu().numpy()
        lag *= 4
    entries = log_decay if transitions.sample is None else transitions.sample
    sample = entries.flatten()[:: max(entries.numel() // SAMPLE, 1)].exp()
    low, median, high = np.quantile(sample.cpu().numpy(), [0.05, 0.5, 0.95]).tolist()  # torch sorts all of them
    return TokenMemory(
        layer, steps, (low, median, high), survival, lags, norms.cpu().numpy(), _at_rest(layer, heads)
    )  # fmt: skip


def _slowest(log_decay: Tensor) -> Tensor:
    return log_decay[..., 0] if log_decay.shape[-1] == 1 else log_decay.amax(-1)


def _at_rest(layer: RecurrentLayer, heads: int) -> np.ndarray:
    """Return log |λ| at rest of the slowest channel of each head of the scan."""
    logs = np.real(layer.linear.log_eigenvalues) if layer.linear is not None else np.zeros(heads)
    return logs.reshape(heads, -1).max(1) if logs.size % heads == 0 else np.full(heads, logs.max())


def _product_norms(log_decay: Tensor, left: Tensor, right: Tensor) -> tuple[np.ndarray, Tensor]:
    """Return lags, and log ‖A_T ⋯ A_{T−lag+1}‖₂ by lag and head: products of pieces of the tokens, all side by side."""
    batch, steps = log_decay.shape[:2]
    piece = math.isqrt(steps - 1) + 1
    piece = max(piece, LONG) if steps > LONG**2 // 16 else piece
    # What all entries of a head decay alike is a factor of the product. Of the rest, which is 0 in a gated delta rule,
    # the inverse of the decays of a piece must be finite. Where the norm is an estimate single precision is enough.
    log_decay = log_decay.clamp_min(-LARGEST_LOG)
    common = log_decay.amax(-1, keepdim=True)
    log_decay, right = log_decay - common, right * torch.exp(-common)
    fastest = -float(log_decay.min())
    if left.shape[-1] > EXACT and piece * fastest <= LARGEST_LOG_SINGLE:
        log_decay, left, right = log_decay.float(), left.float(), right.float()
    piece = max(1, min(piece, int(LARGEST_LOG / max(fastest, 1.0))))
    pieces = -(-steps // piece)
    missing = pieces * piece - steps

    def cut(x: Tensor) -> Tensor:  # the first piece begins with transitions that change nothing
        padded = torch.cat([x.new_zeros(batch, missing, *x.shape[2:]), x], dim=1) if missing else x
        return padded.reshape(batch, pieces, piece, *x.shape[2:]).transpose(2, 3)

    product = _products(cut(log_decay), cut(left), cut(right))
    shares = cut(common).sum((-2, -1))
    suffix, scale = product[:, -1], torch.zeros_like(shares[:, -1])
    vector = _start(suffix)
    lags, norms = [0], [scale.mean(0)]
    for k in reversed(range(pieces)):
        if k < pieces - 1:
            vector = product[:, k].mT @ vector
            suffix = suffix @ product[:, k]
        largest = suffix.abs().amax((-2, -1), keepdim=True)
        suffix = suffix / torch.where(largest > 0, largest, 1)
        scale = scale + shares[:, k] + largest.log()[..., 0, 0]
        lags.append(steps - max(k * piece - missing, 0))
        norm, vector = _norm(suffix, vector, ITERATIONS if len(lags) > 2 else FIRST_ITERATIONS)
        norms.append((scale + norm.log()).mean(0))
    return np.array(lags), torch.stack(norms)


def _products(log_decay: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return the product of the transitions of each piece ``(..., piece, entries)``, the last token to the left."""
    # With Γ_t the product of the decays up to t, it is diag(Γ) + Σ_s diag(Γ/Γ_s) left_s w_sᵀ, and the rows w_s, which
    # are right_sᵀ times the product before s, solve a triangular system.
    total = log_decay.cumsum(-2)
    eye = torch.eye(left.shape[-1], dtype=left.dtype, device=left.device)
    before = torch.exp(total - log_decay) * right
    after = left * torch.exp(-total)
    coupling = torch.tril(before @ after.mT, -1)
    rows = torch.linalg.solve_triangular(-coupling, before, upper=False, unitriangular=True)
    end = total[..., -1:, :].exp()
    return end.mT * (eye + after.mT @ rows)


def _start(matrix: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(matrix.shape[-1], 1, generator=generator, dtype=torch.float64).to(matrix)
    return vector.expand(*matrix.shape[:-1], 1)


def _norm(matrix: Tensor, vector: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return the largest singular value of each matrix, low by a few percent at most, and a vector that shows it."""
    if matrix.shape[-1] <= EXACT:
        return torch.linalg.matrix_norm(matrix, ord=2), vector
    for _ in range(iterations):
        vector = matrix.mT @ (matrix @ vector)
        vector = vector / vector.norm(dim=-2, keepdim=True).clamp_min(torch.finfo(matrix.dtype).tiny)
    return (matrix @ vector).norm(dim=-2).squeeze(-1), vector
