"""Cells with a decay at rest that are not linear, and S4, by the names of their parameters in the code of authors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from unitcircle.checkpoints._counted_layer import counted_layer
from unitcircle.checkpoints._inventory import Inventory
from unitcircle.checkpoints._room import take
from unitcircle.recurrence import RecurrentLayer

ELAPSED = "the file does not say the time between tokens: taken as one second"


@dataclass(frozen=True)
class _Found:
    """The parameters of a cell: their values, the names of the tensors that they come from, and what was assumed."""

    family: str
    values: Mapping[str, np.ndarray]
    names: Mapping[str, str]
    further: tuple[str, ...] = ()  # Tensors that belong to the cell and not to its decay
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Tensors:
    """The free tensors behind a prefix, by the rest of their names."""

    work: Inventory
    prefix: str

    def ends(self) -> Iterator[str]:
        """Yield the rests of all their names."""
        return (name[len(self.prefix) :] for name in self.work.free_below(self.prefix))

    def first(self, *ends: str) -> str:
        """Return the first of some ends that is there and free; empty where none is."""
        return next((end for end in ends if self.prefix + end in self.work.free), "")

    def shape(self, end: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self.work.shape(self.prefix + end)

    def load(self, end: str) -> np.ndarray:
        """Return the values of a tensor."""
        return np.asarray(self.work.load(self.prefix + end))


def cell_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the cell whose first parameter a tensor is, if its other parts are there."""
    if _FIRST.search(name, max(len(name) - _LONGEST_FIRST, 0)) is None:
        return None
    for pattern, reader in _READERS.items():
        match = re.fullmatch(rf"((?:.*[./])?)(?:{pattern})", name, re.DOTALL)
        if match is None:
            continue
        prefix = match[1]
        found = reader(_Tensors(work, prefix), name[len(prefix) :])
        if found is not None:
            return _made(work, prefix, found)
    return None


def _made(work: Inventory, prefix: str, found: _Found) -> RecurrentLayer | None:
    if any(value.size == 0 or value.dtype.kind not in "fc" for value in found.values.values()):
        return None
    names = [prefix + end for end in dict.fromkeys([*found.names.values(), *found.further])]
    layer = counted_layer(
        found.family,
        found.values,
        names=found.names,
        dtypes={part: work.tensors[prefix + end].dtype for part, end in found.names.items()},
        name=prefix.rstrip("./_") or names[0],
        source=work.source(names),
    )
    work.notes |= dict.fromkeys(found.notes)
    return replace(layer, name=work.layer_name(prefix, layer.cell)) if prefix.rstrip("./_") else layer


def _slstm(at: _Tensors, kernel: str) -> _Found | None:
    """Return the sLSTM of NX-AI: gates i f z o, kernel and bias as the backend keeps them, which the shapes tell."""
    bias = at.first("_bias_", "bias")
    shape = at.shape(kernel)
    if not bias or len(shape) not in {3, 4} or 0 in shape:
        return None
    heads, units = shape[0], min(shape[1:])
    if np.prod(shape) != 4 * heads * units**2 or np.prod(at.shape(bias)) != 4 * heads * units:
        return None
    R, b = at.load(kernel), at.load(bias)
    by_gate = shape[1:] == (4 * units, units)  # of the plain backend: rows of gates, and a bias by gates first
    take(8 * heads * units**2, "the Jacobians of its heads")
    # Else (heads, in, gates, out), the last two in one or two axes.
    R = R.reshape(heads, 4, units, units) if by_gate else R.reshape(heads, units, 4, units).transpose(0, 2, 3, 1)
    flat_by_gate = by_gate and b.ndim == 1
    b = b.reshape(4, heads, units).swapaxes(0, 1) if flat_by_gate else b.reshape(heads, 4, units)
    values = {"fgate_bias": b[:, 1], "gate_biases": b[:, [0, 2, 3]], "recurrent_kernel": R}
    return _Found("sLSTM", values, {"fgate_bias": bias, "gate_biases": bias, "recurrent_kernel": kernel})


_S4_NAMES = {
    "A_real": {"A_imag": "A_imag", "log_dt": "inv_dt"},
    "inv_w_real": {"w_imag": "w_imag", "log_dt": "log_dt"},
    "inv_A_real": {"w_imag": "A_imag", "log_dt": "log_dt"},
}
"""Real part of Λ in the releases of S4 → the other parts; the newest one stores the negative imaginary part."""


def _s4(at: _Tensors, real: str) -> _Found | None:
    parts = _S4_NAMES[real] | {"log_A_real": real, "P": "P"}
    if any(not at.first(end) for end in parts.values()) or at.shape("P")[-1:] != (2,):
        return None
    return _of_s4(at, parts)


def _s4_of_jax(at: _Tensors, real: str) -> _Found | None:
    """Return the annotated S4, whose arrays have a column for each channel."""
    parts = {"Lambda_re": real, "Lambda_im": "Lambda_im", "P": "P", "log_dt": "log_step"}
    if any(not at.first(end) for end in parts.values()):
        return None
    if at.shape("P") not in {at.shape(real), (*at.shape(real), 2)}:
        return None
    return _of_s4(at, parts)


def _of_s4(at: _Tensors, parts: Mapping[str, str]) -> _Found:
    values = {part: at.load(end) for part, end in parts.items()}
    modes = values["P"].shape[-2] if np.isrealobj(values["P"]) else values["P"].shape[0]
    take(64 * modes * (modes * values["P"].size + values["log_dt"].size), "the eigenvalues of its state spaces")
    return _Found("S4", values, parts)


def _rssm_in_blocks(at: _Tensors, kernel: str) -> _Found | None:
    """Return the GRU in blocks of Dreamer; each block holds reset, candidate and update."""
    bias = at.first(kernel.replace("kernel", "bias"))
    shape = at.shape(kernel)
    if not bias or len(shape) != 3 or shape[2] % 3 or at.shape(bias) != (shape[0] * shape[2],):
        return None
    update = at.load(bias).reshape(shape[0], 3, -1)[:, 2]
    return _Found("RSSM", {"update_bias": update.ravel()}, {"update_bias": bias}, (kernel,))


def _rssm(at: _Tensors, linear: str) -> _Found | None:
    """Return the GRU of Dreamer with one layer normalization, whose shift is all that the gates get without input."""
    scope, _, layer = linear.removesuffix(".weight").rpartition(".")
    scope = f"{scope}." if scope else ""
    norms = {"GRU_linear": "GRU_norm", "_layer": "_norm", "linear": "layer_norm"}
    shift = at.first(f"{scope}{norms[layer]}.bias", f"{scope}{norms[layer]}._norm.bias")
    bias = at.first(f"{scope}{layer}.bias")
    rows = at.shape(linear)[0] if len(at.shape(linear)) == 2 else 0
    if not shift or not rows or rows % 3 or at.shape(shift) != (rows,) or (bias and at.load(bias).any()):
        return None
    values = {"update_bias": at.load(shift)[2 * rows // 3 :]}
    return _Found("RSSM", values, {"update_bias": shift}, (linear, *([bias] if bias else [])))


def _convlstm(at: _Tensors, kernel: str) -> _Found | None:
    """Return a ConvLSTM with one convolution of [x, h] for the gates i f and two others."""
    bias = at.first(kernel.replace("weight", "bias"))
    shape = at.shape(kernel)
    if (
        len(shape) not in {3, 4, 5}
        or shape[0] % 4
        or shape[1] <= shape[0] // 4
        or (bias and at.shape(bias) != shape[:1])
    ):
        return None
    if not re.search(r"(?i:lstm|cell_list)", at.prefix + kernel):
        return None
    rows = shape[0] // 4
    values = at.load(bias)[rows : 2 * rows] if bias else np.zeros(rows)
    note = "the order of the gates of a ConvLSTM is not in the file: taken as i f, as its public code has it"
    return _Found("ConvLSTM", {"forget_bias": values}, {"forget_bias": bias or kernel}, (kernel,), (note,))


def _convlstm_by_gate(at: _Tensors, kernel: str) -> _Found | None:
    if not (bias := at.first("Wxf.bias", "Wf.bias")) or len(at.shape(kernel)) not in {3, 4, 5}:
        return None
    further = [end for end in at.ends() if re.fullmatch(r"W[xh]?[ifco]\.(?:weight|bias)", end)]
    return _Found("ConvLSTM", {"forget_bias": at.load(bias)}, {"forget_bias": bias}, tuple(further))


def _convlstm_of_keras(at: _Tensors, kernel: str) -> _Found | None:
    bias, inputs = at.first("bias", "bias:0"), at.first("kernel", "kernel:0")
    shape = at.shape(kernel)
    if not bias or not inputs or len(shape) not in {3, 4, 5} or shape[-1] != 4 * shape[-2]:
        return None
    if at.shape(bias) != shape[-1:] or len(at.shape(inputs)) != len(shape):
        return None
    values = at.load(bias)[shape[-2] : 2 * shape[-2]]
    note = "the file does not say the recurrent activation of a ConvLSTM: taken as the sigmoid"
    return _Found("ConvLSTM", {"forget_bias": values}, {"forget_bias": bias}, (kernel, inputs), (note,))


def _sru(at: _Tensors, weight_c: str) -> _Found | None:
    """Return an SRU, whose bias has the forget gate, of both directions, and then the highway."""
    bias, weight = at.first("bias"), at.first("weight")
    size = at.shape(weight_c)
    if not bias or len(size) != 1 or size[0] % 2 or at.shape(bias) != size:
        return None
    values = {"forget_bias": at.load(bias)[: size[0] // 2]}
    further = [weight_c, *([weight] if weight else []), *([one] if (one := at.first("weight_proj")) else [])]
    return _Found("SRU", values, {"forget_bias": bias}, tuple(further))


def _indrnn(at: _Tensors, weight: str) -> _Found | None:
    if len([size for size in at.shape(weight) if size != 1]) != 1 or len(at.shape(weight)) > 2:
        return None
    inputs = at.first("weight_ih" + weight.removeprefix("weight_hh"), "kernel", "kernel:0")
    if not inputs or len(at.shape(inputs)) != 2 or np.prod(at.shape(weight)) not in at.shape(inputs):
        return None
    note = "the file does not say the activation of an IndRNN: its λ is that of slope 1"
    bias = at.first("bias_ih", "bias", "bias:0")
    values, names = {"recurrent_weight": at.load(weight).ravel()}, {"recurrent_weight": weight}
    return _Found("IndRNN", values, names, (inputs, *([bias] if bias else [])), (note,))


_LTC = ("cm", "vleak", "w", "sigma", "mu", "erev", "sensory_w", "sensory_sigma", "sensory_mu", "sensory_erev")
_OF_LTC = ("sparsity_mask", "sensory_sparsity_mask", "input_b")


def _ltc(at: _Tensors, _: str) -> _Found | None:
    if any(not at.first(end) for end in _LTC):
        return None
    parts = ["gleak", *_LTC, *(end for end in _OF_LTC if at.first(end))]
    values = {part: at.load(part) for part in parts}
    units = values["gleak"].size
    if {values["w"].shape, values["erev"].shape} != {(units, units)}:
        return None
    take(64 * units**2, "the Jacobian of its cell")
    further = [end for end in ("input_w", "output_w", "output_b") if at.first(end)]
    # The class LTC of ncps, whose cell is named so, keeps them before a softplus; LTCCell as they are, and positive.
    implicit = at.prefix.endswith("rnn_cell.") or any((values[part] < 0).any() for part in ("w", "cm", "gleak"))
    how = (
        "w, cm and gleak behind a softplus, as in the class LTC of ncps"
        if implicit
        else "parameters as they are stored"
    )
    if implicit:
        values["implicit"] = np.ones(1)
    notes = (ELAPSED, f"the file does not say how an LTC is solved: six implicit steps, {how}")
    return _Found("LTC", values, {part: part for part in parts}, tuple(further), notes)


_HEADS = ("ff1", "ff2", "time_a", "time_b")


def _cfc(at: _Tensors, first: str) -> _Found | None:
    """Return a CfC of ncps, with its backbone or, where it has a mask, without."""
    pure = bool(at.first("w_tau") and at.first("A"))
    ends = ["w_tau", "A"] if pure else []
    ends += [f"{head}.{part}" for head in (_HEADS[:1] if pure else _HEADS) for part in ("weight", "bias")]
    if any(not at.first(end) for end in ends) or len(at.shape(first)) != 2:
        return None
    names = {end: end for end in ends}
    mask = at.first("sparsity_mask")
    if mask:
        names[mask] = mask
    numbers = sorted(int(m[1]) for end in at.ends() if (m := re.fullmatch(r"backbone\.(\d+)\.weight", end)))
    for place, number in enumerate(numbers):
        names |= {f"backbone.{place}.{part}": f"backbone.{number}.{part}" for part in ("weight", "bias")}
    values = {part: at.load(end) for part, end in names.items()}
    take(8 * sum(values[part].size for part in values), "the Jacobian of its cell")
    notes = [ELAPSED]
    if not pure:
        notes.append("the file does not say the mode of a CfC: taken as that with a gate")
    if numbers:
        notes.append("the file does not say the activation of the backbone of a CfC: taken as 1.7159 tanh(0.666 x)")
    return _Found("CfC, pure" if pure else "CfC", values, names, (), tuple(notes))


_READERS: Mapping[str, Callable[[_Tensors, str], _Found | None]] = {
    r"_recurrent_kernel_": _slstm,
    r"A_real|inv_w_real|inv_A_real": _s4,
    r"Lambda_re": _s4_of_jax,
    r"dyngru[./]kernel": _rssm_in_blocks,
    r"(?:layers\.)?GRU_linear\.weight|_layer\.weight|linear\.weight": _rssm,
    r"conv\.weight|Gates\.weight|gates\.weight|conv2d\.weight": _convlstm,
    r"Whf\.weight": _convlstm_by_gate,
    r"weight_c": _sru,
    r"weight_hh(?:_l\d+)?": _indrnn,
    r"recurrent_kernel(?::0)?": lambda at, name: _convlstm_of_keras(at, name) or _indrnn(at, name),
    r"gleak": _ltc,
    r"ff1\.weight": _cfc,
}
"""Pattern of the name of a first parameter → what makes a cell of the tensors beside it."""
_FIRST = re.compile(rf"(?:^|[./])(?:{'|'.join(_READERS)})\Z")
_LONGEST_FIRST = 64
