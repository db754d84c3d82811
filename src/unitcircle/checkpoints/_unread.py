"""Recurrent families that are recognised by their names and not read."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from unitcircle.checkpoints._impostors import is_of_optimizer, suspicion
from unitcircle.checkpoints._tensor import StoredTensor

_LISTED = 4


@dataclass(frozen=True)
class _Family:
    """A family, and patterns of names behind one prefix that show it: all of them must be there."""

    name: str
    shown: tuple[str, ...]
    absent: str = ""  # A pattern that shows another family
    place: str = ""  # A pattern that the prefix must hold
    axes: tuple[int, ...] = ()  # Numbers of axes of the first; empty for any


_W = r"(?:[._]?(?:weight|kernel|w))?"
_FAMILIES = (
    _Family("RWKV-7", (r"w0", r"w1", r"w2", r"k_k")),
    _Family("RWKV-7", (r"k_k", r"k_a", r"r_k")),
    _Family("RWKV-7", (r"time_mix_w0", r"time_mix_w1")),
    _Family("RWKV-6", (r"time_decay", r"time_(?:decay_w1|maa_w1|mix_w1)")),
    _Family("RWKV-6", (r"time_mix_decay", r"time_mix_decay_w1")),
    _Family("RWKV", (r"time_decay", r"time_(?:first|faaaa|mix_k)")),
    _Family("RWKV", (r"time_mix_decay", r"time_mix_first")),
    _Family("RG-LRU (Griffin)", (r"(?:a_param|recurrent_param)",
                                 r"(?:a_gate|input_gate|recurrent_gate_weight|input_gate_weight)(?:\..*)?")),
    _Family("xLSTM (mLSTM)", (r"(?:fgate|fgate_preact|f_gate_preact)\.(?:weight|bias)",
                              r"(?:igate|igate_preact|i_gate_preact)\.(?:weight|bias)")),
    _Family("xLSTM (sLSTM)", (r"_recurrent_kernel_", r"_bias_")),
    _Family("minGRU or minLSTM", (r"to_hidden_and\w*gate\.weight",)),
    _Family("SRU", (r"weight_c", r"weight", r"bias")),
    _Family("QRNN", (r"linear\.weight",), place=r"(?i:qrnn)"),
    _Family("liquid time-constant network (LTC)", (r"gleak(?::0)?", r"(?:erev|sigma|mu|cm)(?::0)?")),
    _Family("liquid time-constant network (LTC)", (r"erev", r"mu", r"sigma")),
    _Family("closed-form continuous-time cell (CfC)", (rf"ff1{_W}(?::0)?", rf"ff2{_W}(?::0)?", rf"time_a{_W}(?::0)?")),
    _Family("RetNet", (r"q_proj\.weight",), place=r"(?i:retention|retnet|(?:^|[._])ret[._])"),
    _Family("gated linear attention (GLA)", (r"gk_proj\.\S+",)),
    _Family("HGRN", (r"f_proj\.weight", r"i_proj\.weight", r"g_norm\.weight")),
    _Family("Kimi delta attention (KDA)", (r"A_log", r"f_[ab]_proj\.weight")),
    _Family("delta network (DeltaNet)", (r"b_proj\.weight", r"q_conv1d\.weight"), absent=r"A_log"),
    _Family("Mamba-3", (r"dt_bias", r"in_proj\.weight", r"[BC]_(?:bias|norm\.weight)"), absent=r"A_log"),
    _Family("Mamba", (r"A_log",)),
    _Family("Mamba", (r"ssm_a",)),
    _Family("lightning attention (MiniMax)", (r"slope_rate",)),
    _Family("S4", (r"Lambda_(?:re|real)", r"P(?:_re)?")),
    _Family("S4", (r"(?:inv_A_real|inv_w_real|A_real|w_real|log_A_real)", r"(?:A_imag|w_imag)")),
    _Family("S4", (r"log_dt|inv_dt", r"P", r"B")),
    _Family("Hyena (a long convolution)", (r"filter_fn\.\S*(?:implicit_filter|pos_emb)\S*",)),
    _Family("Legendre memory unit (LMU)", (r"e_[xhm]", r"W_m")),
    _Family("Legendre memory unit (LMU)", (r"(?:memory_encoders?|memory_kernel)\S*", r"(?:hidden_|input_|memory_)\S+")),
    _Family("GRU-D", (r"gamma_h\w*\.weight", r"gamma_x\w*\.weight")),
    _Family("GRU-D", (r"(?:W_dg_h|W_gamma_h|w_dg_h)\S*", r"(?:W_dg_x|W_gamma_x|w_dg_x)\S*")),
    _Family("phased LSTM", (r"(?:tau|period)", r"(?:phase|shift|s)", r"(?:r_on|ratio_on)")),
    _Family("phased LSTM", (r"\S*phase\S*",), place=r"(?i:phased_?lstm)"),
    _Family("convolutional LSTM or GRU", (r"(?:\w*conv\w*|[Ww]_?[hx]\w|\w*gate\w*|[irfozhq]\w?)\.weight",),
            axes=(3, 4, 5),
            place=r"(?i:conv_?lstm|conv_?gru|conv_?rnn|lstm_?cell|gru_?cell|cell_list|(?:^|[._])(?:gru|lstm)\d*[._])"),
    _Family("convolutional LSTM or GRU", (r"convz\d?\.weight", r"convr\d?\.weight"), axes=(3, 4, 5)),
    _Family("convolutional LSTM or GRU", (r"Wh[fir]\.weight", r"Wx[fir]\.weight"), axes=(3, 4, 5)),
    _Family("GRU with a layer normalization (Dreamer)", (r"GRU_linear\.weight",)),
    _Family("GRU with a layer normalization (Dreamer)", (r"linear\.weight", r"layer_norm\.\S*weight"), r".*_hh.*",
            r"(?i:rnn)"),
    _Family("IndRNN (one weight for each unit)", (r"(?:weight_hh(?:_l\d+)?|recurrent_kernel(?::0)?)",), axes=(1,)),
    _Family("EA-LSTM", (r"weight_hh", r"weight_sh")),
    _Family("Hopfield layer", (r"association_core\.\S+",)),
    _Family("recurrent network wrapped by FSDP", (r"_?flat_param(?:_\d+)?",), place=r"(?i:rnn|lstm|gru|ssm|mamba)"),
)  # fmt: skip
"""Families by the names of their parameters; the first that a prefix shows is the one."""

_WORD = re.compile(
    r"(?:^|.*?[./])(?:[^./]*_)?(?:bi|stacked_?|multi_?|custom_?|layer_?norm_?|ln_?)?"
    r"(?P<kind>lstm|gru|rnn|esn|reservoir|indrnn|ltc|cfc|lmu)(?:_?cell)?s?(?:_?[a-z]?\d+)?(?=[./])",
    re.IGNORECASE | re.DOTALL,
)
_KINDS = {"lstm": "an LSTM", "gru": "a GRU"}
_NUMBERED = re.compile(r"(?<=[./])\d+(?=[./])")


def families_unread(
    tensors: Mapping[str, StoredTensor], open_names: Collection[str], explained: Collection[str], /
) -> tuple[list[str], list[str]]:
    """Return a sentence for each family that names show and no layer was made of, and the prefixes where they stand."""
    # `open_names` went into no layer; `explained` are names about which something is said already.
    names = sorted(name for name in tensors if not is_of_optimizer(name))
    # Layers that differ in their number are alike: what a name shows is decided once for all of them.
    alike: dict[str, list[str]] = {}
    for name in open_names:
        if not is_of_optimizer(name):
            alike.setdefault(_NUMBERED.sub("0", name), []).append(name)
    found: dict[str, tuple[dict[str, None], tuple[str, ...]]] = {}
    claimed: set[str] = set()
    for family in _FAMILIES:
        first = re.compile(rf"(?P<prefix>(?:.*?[./_])?)(?:{family.shown[0]})", re.DOTALL)
        for form, full_names in alike.items():
            if first.fullmatch(form) is None:
                continue
            for name in full_names:
                match = first.fullmatch(name)
                if match is None or (family.axes and len(tensors[name].shape) not in family.axes):
                    continue
                prefix = match["prefix"]
                if prefix in claimed or not re.search(family.place, prefix):
                    continue
                shown = _shown(family, prefix, name, names)
                if shown is not None:
                    claimed.add(prefix)
                    found.setdefault(family.name, ({}, shown))[0][prefix] = None
    sentences = [_sentence(list(places), f"like {family}", shown) for family, (places, shown) in found.items()]
    settled = {*(tensors.keys() - set(open_names)), *explained}
    return sentences + _named_only(tensors, alike, settled, claimed), list(claimed)


def _named_only(
    tensors: Mapping[str, StoredTensor], alike: Mapping[str, list[str]], settled: Collection[str], claimed: set[str]
) -> list[str]:
    """Return one sentence for each kind of cell that a module is named after, and of which nothing was made."""
    places: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for form, full_names in alike.items():
        if _WORD.match(form) is None:
            continue
        for name in full_names:
            match = _WORD.match(name)
            if match is None or len(tensors[name].shape) < 2 or suspicion(name, tensors[name]) is None:
                continue
            group = places.setdefault(match["kind"].lower(), ({}, {}))
            group[0][match[0]] = None
            group[1][name[len(match[0]) + 1 :]] = None
    known = sorted({*settled, *claimed})
    sentences: list[str] = []
    for kind, (prefixes, ends) in places.items():
        # A layer or a sentence anywhere inside, or around, is enough.
        silent = [
            place
            for place in prefixes
            if not _any_below(known, place) and not any(map(place.startswith, claimed - {""}))
        ]
        if silent and "" not in claimed:
            word = f"by its name like {_KINDS.get(kind, f'a cell of the kind {kind}')}"
            sentences.append(_sentence(silent, word, tuple(ends)))
    return sentences


def _any_below(names: list[str], place: str) -> bool:
    index = bisect_left(names, place)
    return index < len(names) and names[index].startswith(place)


def _shown(family: _Family, prefix: str, name: str, names: list[str]) -> tuple[str, ...] | None:
    """Return the ends of the names that show a family behind a prefix, or None where one of them is not there."""
    ends: list[str] = []
    for index in range(bisect_left(names, prefix), len(names)):
        if not names[index].startswith(prefix):
            break
        ends.append(names[index][len(prefix) :])
    if family.absent and any(re.fullmatch(family.absent, end) for end in ends):
        return None
    shown = [name[len(prefix) :]]
    for pattern in family.shown[1:]:
        end = next((end for end in ends if re.fullmatch(pattern, end, re.DOTALL)), None)
        if end is None:
            return None
        shown.append(end)
    return tuple(shown)


def _sentence(places: list[str], what: str, shown: tuple[str, ...]) -> str:
    place = places[0].rstrip("./_") or "the file"
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{place}{more} look{'' if more else 's'} {what} ({', '.join(shown[:_LISTED])}): not read"
