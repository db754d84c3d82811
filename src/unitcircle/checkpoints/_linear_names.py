"""Linear recurrences by the names of the parameters of their decay, in hubs, libraries and the authors' code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unitcircle.checkpoints._counted_layer import counted_layer
from unitcircle.checkpoints._inventory import Inventory
from unitcircle.checkpoints._model_config import UNTOLD_RATE
from unitcircle.checkpoints._room import take
from unitcircle.recurrence import LINEAR_FAMILIES, RecurrentLayer

Names = tuple[str, ...]


@dataclass(frozen=True)
class _Naming:
    """How the files of one code base name the parameters of a family, behind the prefix of the module."""

    family: str
    anchor: Names  # Names of the first parameter
    parts: Mapping[str, Names] = field(default_factory=dict[str, Names])  # Further parameter → its names
    shown: str = ""  # A pattern of another name of the module, without which it is another family
    absent: str = ""  # A pattern with which it is another family
    axes: tuple[int, ...] = ()  # Numbers of axes of the first parameter; empty for any
    sizes: Callable[[int, int], bool] | None = None  # Whether the sizes of the first two parameters fit
    units: Callable[[Inventory, str, str], int] | None = None  # Units of a prefix, where the first holds no decay
    inputs: Callable[[Inventory, str], Any] | None = None  # Input weight and the names that it is made from
    backwards: bool = False  # Whether it runs from the last token to the first, beside another one


def _same(one: int, other: int) -> bool:
    return one == other


def _per_channel(heads: int, channels: int) -> bool:
    return channels > heads and channels % heads == 0


def _of_lru(work: Inventory, prefix: str) -> Any:
    """Return exp(γ) B of an LRU, and the names of its parts; None where it has no B."""
    names = [prefix + end for end in ("B_re", "B_im")]
    if any(name not in work.free or len(work.shape(name)) != 2 for name in names):
        return None
    B = work.load(names[0]).astype(np.float64) + 1j * work.load(names[1])
    gamma = prefix + "gamma_log"
    if gamma in work.free and work.shape(gamma) == B.shape[:1]:
        B, names = np.exp(work.load(gamma).astype(np.float64))[:, None] * B, [*names, gamma]
    return B, names


def _rows(share: int) -> Callable[[Inventory, str, str], int]:
    """Return how many units a weight has whose rows make several parts of each."""
    return lambda work, _, name: work.shape(name)[0] // share


def _retention_heads(work: Inventory, prefix: str, name: str) -> int:
    """Return the heads of a RetNet, whose norm has the entries of one head; 0 where v_proj does not fit."""
    values, norm = f"{prefix}v_proj.weight", work.shape(name)
    rows = work.shape(values)[0] if values in work.tensors and work.shape(values) else 0
    return rows // norm[0] if len(norm) == 1 and norm[0] and rows % norm[0] == 0 else 0


_DELTA = r"(?:b_proj(?:\.\d+)?|shared_b|in_proj_b|in_proj_ba|in_proj_beta|beta_proj|ba_proj)\.weight|out_norm\.weight"
_OTHERS = r"Mu_log|readout|r_proj\S*|lambda_params"
"""What makes other layers, which have a decay of the same names, and states or slots beside it."""
_SELECTIVE = {"dt_bias": ("dt_bias",)}
_LINEAR = (
    _Naming("LRU", ("nu_log",), {"theta_log": ("theta_log",)}, inputs=_of_lru),
    _Naming("Mamba", ("A_log",), {"dt_bias": ("dt_proj.bias", "dt_proj/bias")}, axes=(1, 2)),
    _Naming("Mamba", ("A_b_log",), {"dt_bias": ("dt_proj_b.bias",)}, axes=(2,), backwards=True),  # Vision Mamba
    _Naming("Zamba", ("A_log",), {"dt_bias": ("dt_proj_bias",)}, axes=(3,)),
    _Naming("KDA", ("A_log",), _SELECTIVE, sizes=_per_channel, axes=(1, 4)),
    _Naming("Gated DeltaNet", ("A_log",), _SELECTIVE, _DELTA, _OTHERS + r"|D", sizes=_same, axes=(1,)),
    _Naming("Gated DeltaNet", ("A_log",), _SELECTIVE, r"decay", _OTHERS, sizes=_same, axes=(1,)),
    _Naming("Mamba-2", ("A_log",), _SELECTIVE, r"in_proj\.weight|conv1d\.\S+|D", _OTHERS, axes=(1,)),
    _Naming("Mamba-2/GDN", ("A_log",), _SELECTIVE, absent=_OTHERS, axes=(1,)),
    _Naming("Mamba", ("A_log",), _SELECTIVE, axes=(2,)),
    _Naming("KDA, bounded", ("dt_bias",), {}, r"f_[ab]_proj\.weight|f_proj\.\d\.weight", r"A_log", axes=(1, 2)),
    _Naming("Mamba-3", ("dt_bias",), {}, r"[BC]_(?:bias|norm\.weight)", r"A_log", axes=(1,)),
    _Naming("DeltaNet", ("b_proj.weight",), {}, r"q_conv1d\.weight|q_proj\.weight",
            r"(?:\S+\.)?A_log|a_proj\.weight|gk_proj\S*|f_[ab]?_?proj\S*|b_proj\.bias|lambda_params",
            axes=(2,), units=_rows(1)),
    _Naming("RWKV-6", ("time_decay", "time_mix_decay.weight"), {}, r"time_(?:decay_w1|maa_w1|mix_w1|mix_decay_w1)\S*"),
    _Naming("RWKV-6", ("w_proj.lora.2.bias", "w_proj.linear.lora.2.bias"), {}, r"bonus"),
    _Naming("RWKV-5", ("time_decay",), {}, r"time_(?:faaaa|first|mix_\w+)", axes=(2, 3)),
    _Naming("RWKV-4", ("time_decay",), {}, r"time_(?:first|faaaa|mix_\w+|mix_k)\S*", axes=(1,)),
    _Naming("RWKV-7", ("w0", "time_mix_w0.weight"), {}, r"(?:time_mix_)?(?:k_k|a0)\S*"),
    _Naming("RWKV-7", ("w_lora.lora.2.bias",), {}, r"k_k|a_lora\.\S+"),
    _Naming("lightning attention", ("slope_rate",)),
    _Naming("GLA", ("gk_proj.1.bias",), {}, absent=r"A_log"),
    _Naming("RG-LRU", ("recurrent_param", "a_param"),
            {"gate_bias": ("recurrent_gate_bias", "a_gate.b", "a_gate.bias", "a_gate/b", "a_gate/bias")}),
    _Naming("mLSTM, capped", ("fgate_preact.bias",), {}, r"igate_preact\.\S+"),
    _Naming("mLSTM", ("fgate.bias",), {}, r"igate\.\S+", axes=(1,)),
    _Naming("simple GLA", ("gk_proj.bias",), {}, r"g_norm\S*", axes=(1,)),
    _Naming("MesaNet", ("a_proj.bias",), {}, r"lambda_params", axes=(1,)),
    _Naming("Rodimus", ("g_gate_proj.bias",), {"tau_bias": ("tau_gate_proj.bias",)}, axes=(1,)),
    _Naming("RetNet", ("g_norm_swish_gate.weight",), {}, r"g_proj\.weight",
            r"(?:gk|f|s|i)_proj\S*|\S*A_log", axes=(1,), units=_retention_heads),
    _Naming("minGRU", ("to_hidden_and_gate.weight",), axes=(2,), units=_rows(2)),
    _Naming("minGRU", ("lin_z.bias", "linear_z.bias", "to_z.bias"), {}, r"(?:lin|linear|to)_h\S*\.weight", axes=(1,)),
    _Naming("minGRU", ("lin_z.weight", "linear_z.weight", "to_z.weight"), {}, r"(?:lin|linear|to)_h\S*\.weight",
            r"(?:lin|linear|to)_z\.bias", axes=(2,), units=_rows(1)),
    _Naming("minLSTM", ("to_hidden_and_f_i_gate.weight", "to_hidden_and_gates.weight"), axes=(2,), units=_rows(3)),
    _Naming("minLSTM", ("lin_f.bias", "linear_f.bias", "to_f.bias"),
            {"input_bias": ("lin_i.bias", "linear_i.bias", "to_i.bias")}, r"(?:lin|linear|to)_h\S*\.weight", axes=(1,)),
    _Naming("minLSTM", ("lin_f.weight", "linear_f.weight", "to_f.weight"), {}, r"(?:lin|linear|to)_h\S*\.weight",
            r"(?:lin|linear|to)_f\.bias", axes=(2,), units=_rows(1)),
    _Naming("S4D", ("log_A_real",), {"A_imag": ("A_imag",), "log_dt": ("log_dt",)}, absent="P"),
    _Naming("S4D", ("inv_A_real",), {"A_imag": ("A_imag",), "log_dt": ("log_dt",)}, absent="P"),
    _Naming("S4D", ("A_real",), {"A_imag": ("A_imag",), "log_dt": ("inv_dt",)}, absent="P"),
    _Naming("S5", ("Lambda_re",), {"Lambda_im": ("Lambda_im",), "log_step": ("log_step",)}, absent="P"),
    _Naming("S5", ("Lambda",), {"log_step": ("log_step",)}, absent="P"),
)  # fmt: skip
"""The first naming that fits a module is the one; ``S4`` holds ``P``, and is not diagonal."""
_ANCHORS = tuple({anchor for naming in _LINEAR for anchor in naming.anchor} | {"f_proj.weight"})


def linear_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the linear recurrence whose first parameter a tensor is, if its other parts are there."""
    if not name.endswith(_ANCHORS):
        return None
    for naming in _LINEAR:
        for prefix in _prefixes(name, naming.anchor):
            parts = _parts_of(work, naming, prefix, name)
            if parts is not None:
                return _made(work, naming, prefix, parts)
    return next((_hgrn(work, prefix, name) for prefix in _prefixes(name, ("f_proj.weight",))), None)


def _prefixes(name: str, ends: Names) -> Iterator[str]:
    for end in ends:
        if name == end or name.endswith((f".{end}", f"/{end}", f"_{end}")):
            yield name.removesuffix(end)


def _parts_of(work: Inventory, naming: _Naming, prefix: str, name: str) -> dict[str, str] | None:
    """Return parameter → name of a module that a naming fits, or None."""
    if naming.axes and len(work.shape(name)) not in naming.axes:
        return None
    parts = {"": name}
    for part, ends in naming.parts.items():
        found = next((prefix + end for end in ends if prefix + end in work.free), None)
        if found is None:
            return None
        parts[part] = found
    if naming.sizes is not None:
        first, second = (int(np.prod(work.shape(one))) for one in list(parts.values())[:2])
        if not first or not naming.sizes(first, second):
            return None
    if naming.shown or naming.absent:
        ends = [one[len(prefix) :] for one in work.below(prefix)]
        if naming.shown and not any(re.fullmatch(naming.shown, end) for end in ends):
            return None
        if naming.absent and any(re.fullmatch(naming.absent, end) for end in ends):
            return None
    return parts


_FIRST = {"RWKV-4": "time_decay", "RWKV-5": "time_decay", "RWKV-6": "time_decay", "RWKV-7": "w0", "GLA": "gate_bias",
          "mLSTM": "fgate_bias", "mLSTM, capped": "fgate_bias", "lightning attention": "slope_rate", "LRU": "nu_log",
          "RG-LRU": "recurrent_param", "S4D": "log_A_real", "S5": "Lambda", "KDA, bounded": "dt_bias",
          "Mamba-3": "dt_bias", "simple GLA": "gate_bias", "MesaNet": "gate_bias", "Rodimus": "g_bias",
          "minGRU": "gate_bias", "minLSTM": "forget_bias"}  # fmt: skip
"""The first parameter of each family, A_log of the others."""


def _made(work: Inventory, naming: _Naming, prefix: str, parts: Mapping[str, str]) -> RecurrentLayer | None:
    family = naming.family
    if naming.units is not None:
        count = naming.units(work, prefix, parts[""])
        values: dict[str, Any] = dict.fromkeys(LINEAR_FAMILIES[family].parameters, np.zeros(count))
        named = dict.fromkeys(values, parts[""])
    else:
        named = {part or _FIRST.get(family, "A_log"): name for part, name in parts.items()}
        values = {part: work.load(name) for part, name in named.items()}
    if any(value.size == 0 or value.dtype.kind not in "fc" for value in values.values()):
        return None
    if family == "S5" and values["Lambda"].ndim == 2 and values["Lambda"].shape[-1] == 2:
        values["Lambda"] = values["Lambda"][:, 0] + 1j * values["Lambda"][:, 1]  # as torch.view_as_real keeps it
    if family == "S5" and len(values) == 2 and values["Lambda"].dtype.kind != "c":
        return None
    if (
        family == "KDA"
        and (_is_module_of_gate(prefix, values) or not values["A_log"].any())
        and values["dt_bias"].any()
    ):
        family = "KDA, bounded"
    if family.startswith("KDA"):
        work.notes[f"the file does not say whether the gate of KDA is bounded: read as {family}"] = None
    if family == "Mamba-3":
        work.notes[UNTOLD_RATE] = None
    beta = f"{prefix}b_proj.weight"
    if family == "KDA, bounded" and "A_log" not in values and beta in work.tensors:
        values["dt_bias"] = values["dt_bias"].reshape(work.shape(beta)[0], -1)
    if family == "Gated DeltaNet":
        family = _product(work, prefix, values["A_log"].size)
    if "log_dt" in values:  # a step for each channel times the modes of one row
        take(32 * values["log_dt"].size * values["log_A_real"].shape[-1], "the eigenvalues of its state spaces")
    inputs = naming.inputs(work, prefix) if naming.inputs is not None else None
    names = [*dict.fromkeys(named.values()), *(inputs[1] if inputs else ())]
    layer = counted_layer(
        family,
        values,
        names={part: name[len(prefix) :] for part, name in named.items()},
        dtypes={part: work.tensors[name].dtype for part, name in named.items()},
        inputs=inputs[0] if inputs else None,
        name=prefix.rstrip("./_") or names[0],
        direction="reverse" if naming.backwards else "forward",
        source=work.source(names),
    )
    return _shortened(work, layer, prefix, names[0])


def _is_module_of_gate(prefix: str, values: Mapping[str, Any]) -> bool:
    """Return whether a gate of KDA is that of Bailing or GLM, bounded by default; that of Kimi has four axes."""
    return prefix.endswith("forget_gate.") and values["A_log"].ndim == 1


def _product(work: Inventory, prefix: str, heads: int) -> str:
    """Return which delta rule has several keys a token: its β has as many rows as heads times keys."""
    beta = prefix + "b_proj.weight"
    rows = work.shape(beta)[0] if beta in work.tensors else heads
    return "Gated DeltaProduct" if rows > heads else "Gated DeltaNet"


def _shortened(work: Inventory, layer: RecurrentLayer, prefix: str, name: str) -> RecurrentLayer:
    return replace(layer, name=work.layer_name(prefix, layer.cell) if prefix.rstrip("./_") else name)


def _hgrn(work: Inventory, prefix: str, name: str) -> RecurrentLayer | None:
    """Return a layer of HGRN, whose lower bound of the forget gate stands beside the layers, one row for each."""
    ends = {one[len(prefix) :] for one in work.below(prefix)}
    if not {"i_proj.weight", "g_norm.weight"} <= ends or len(work.shape(name)) != 2:
        return None
    channels = work.shape(name)[0]
    lower = np.zeros(channels)
    table = next((one for one in work.tensors if one.endswith("lower_bounds")), None)
    number = re.search(r"(?:^|[./])(\d+)[./]", prefix)
    names = [name]
    if table is not None and number is not None and len(work.shape(table)) == 2:
        logits = work.load(table).astype(np.float64)
        if logits.shape[1] == channels and int(number[1]) < len(logits):
            shares = np.exp(logits - logits.max(0)) / np.exp(logits - logits.max(0)).sum(0)
            lower = (shares.cumsum(0) - shares[0])[int(number[1])]
    layer = counted_layer(
        "HGRN",
        {"lower_bound": lower},
        names={"lower_bound": "lower_bounds"},
        name=prefix.rstrip("./_") or name,
        source=work.source(names),
    )
    return _shortened(work, layer, prefix, name)
