"""Recurrent families that are recognised by their names and not read."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from unitcircle.checkpoints._forms import form
from unitcircle.checkpoints._impostors import is_of_optimizer, named_reason
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
    fits: Callable[[Sequence[tuple[int, ...]]], bool] | None = None  # Whether the shapes of those shown are its own


def _has_feature_map(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether queries and keys have one width and values, all of which the output takes, another: not in softmax."""
    if any(len(shape) != 2 for shape in shapes):
        return False
    q, k, v, o = (shape[0] for shape in (*shapes[:3], shapes[3][::-1]))
    return q == k != v == o


_W = r"(?:[._/]?(?:weight|kernel|w))?(?::0)?"
_PROJECTIONS = tuple(rf"(?:{x}_proj|(?:to_|[Ww]_?)?{x}|{word}(?:_proj)?){_W}"
                     for x, word in (("q", "query"), ("k", "key"), ("v", "value")))  # fmt: skip
_FUSED = rf"(?:to_?|W_?|c_)?(?:qkv|attn)(?:_proj)?{_W}"
_INTO = rf"{_PROJECTIONS[0]}|{_FUSED}|(?:in_proj|x_proj|in_linear|input_proj)\S*{_W}"
_OUT_OF = rf"{_PROJECTIONS[2]}|{_FUSED}|(?:out_proj|o_proj|out_linear|output_proj){_W}"
_DECAY = rf"(?:[^./]*(?:decay|forget|fgate)[^./]*|dt_bias|dt_proj){_W}"
_UNKNOWN = "a linear recurrence of no known family, or attention with a decay or a delta rule"
_FAMILIES = (
    _Family("RWKV-7", (r"w0", r"w1", r"w2", r"k_k")),
    _Family("RWKV-7", (r"k_k", r"k_a", r"r_k")),
    _Family("RWKV-6", (r"time_decay", r"time_(?:decay_w1|maa_w1|mix_w1)")),
    _Family("RWKV", (r"time_decay", r"time_(?:first|faaaa|mix_k)")),
    _Family("RG-LRU (Griffin)", (r"(?:a_param|recurrent_param)",
                                 r"(?:a_gate|input_gate|recurrent_gate_weight|input_gate_weight)(?:[./].*)?")),
    _Family("RG-LRU (Griffin)", (r"(?:Lambda|lambda\w*|log_?a|a_param|a)",), place=r"(?i:rg_?lru)"),
    _Family("xLSTM (mLSTM)", (r"(?:fgate|fgate_preact|f_gate_preact)\.(?:weight|bias)",
                              r"(?:igate|igate_preact|i_gate_preact)\.(?:weight|bias)")),
    _Family("xLSTM (sLSTM)", (r"_recurrent_kernel_",)),
    _Family("xLSTM (sLSTM)", (r"R_[zifo](?:\.\S+)?", r"W_[zifo](?:\.\S+)?"), place=r"(?i:slstm)"),
    _Family("minGRU or minLSTM", (r"to_hidden_and\w*gate\.weight",)),
    _Family("attention with bounded memory control (ABC)", (r"s_proj\.weight", r"k_proj\.weight", r"o_proj\.weight")),
    _Family("gated slot attention (GSA)", (r"f_proj\.weight", r"g_norm\S*", r"q_proj\.weight", r"v_proj\.weight"),
            r"A_log|b_proj\S*|i_proj\S*"),
    _Family("LightNet", (r"g_proj\.0\.weight", r"g_proj\.1\.weight", r"g_norm\.weight", r"k_proj\.weight"),
            r"A_log|b_proj\S*|f_\w*proj\S*|w_proj\S*"),
    _Family("linear attention with a learned feature map", (r"feature_map\S*\.(?:gamma|layer\d?\.weight)",
                                                            r"k_proj\.weight")),
    _Family("momentum delta network (MomentumDeltaNet)", (r"A_log", r"Mu_log")),
    _Family("cyclic flow attention (CyFA)", (r"A_log", r"readout", r"d_proj\.weight")),
    _Family("Raven", (r"A_log", r"r_proj\S*")),
    _Family("Raven", (r"r_proj\S*", r"f_proj\.weight", r"k_norm\.weight")),
    _Family("PaTH attention", (r"bt_proj\.weight", r"w_proj\S*")),
    _Family("YOCO gated retention", (r"gk_proj\.weight",), r"gk_proj\.bias|g_norm\S*"),
    _Family("multiplicative LSTM", (r"wmh(?::0)?", r"wmx(?::0)?")),
    _Family("cuDNN kernel of TensorFlow (opaque_kernel)", (r"opaque_kernel\S*",)),
    _Family("minimal gated unit", (r"[UW]_?h?f", r"[UW]_?h?h"), r"[UW]_?[hxi]?[iorz](?:\..*)?", r"(?i:cell|mgu|rnn)"),
    _Family("SRU", (r"weight_c", r"weight")),
    _Family("QRNN", (r"linear\.weight",), place=r"(?i:qrnn)"),
    _Family("liquid time-constant network (LTC)", (r"gleak(?::0)?", r"(?:erev|sigma|mu|cm)(?::0)?")),
    _Family("liquid time-constant network (LTC)", (r"erev", r"mu", r"sigma")),
    _Family("closed-form continuous-time cell (CfC)", (rf"ff1{_W}", rf"ff2{_W}", rf"time_a{_W}")),
    _Family("closed-form continuous-time cell (CfC)", (rf"ff1{_W}", r"w_tau(?::0)?")),
    _Family("RetNet", (r"q_proj\.weight",), place=r"(?i:retention|retnet|(?:^|[._])ret[._])"),
    _Family("gated linear attention (GLA)", (r"gk_proj\.\S+",)),
    _Family("HGRN", (r"f_proj\.weight", r"i_proj\.weight", r"g_norm\.weight")),
    _Family("Kimi delta attention (KDA)", (r"A_log", r"f_[ab]_proj\.weight")),
    _Family("delta network (DeltaNet)", (r"b_proj\.weight", r"q_conv1d\.weight"), r"A_log|lambda_params"),
    _Family("Mamba-3", (r"dt_bias", r"in_proj\.weight", r"[BC]_(?:bias|norm\.weight)"), absent=r"A_log"),
    _Family("Mamba", (r"A_(?:b_)?log(?:s|\.\d+)?",)),  # of two directions, of four scans, of a list
    _Family("lightning attention (MiniMax)", (r"slope_rate",)),
    _Family("lightning attention (MiniMax)", (rf"output_gate{_W}", rf"qkv_proj{_W}", rf"norm{_W}")),
    _Family("lightning attention (TransNormer)", (rf"qkvu_proj{_W}", rf"out_proj{_W}")),
    _Family("lightning attention (Bailing)", (rf"query_key_value{_W}", rf"g_norm{_W}", rf"g_proj{_W}")),
    _Family("moving average of MEGA", (r"damping_factor", r"decay_factor", r"ema_expansion_matrix")),
    _Family("moving average of MEGA", (r"omega", r"delta", r"alpha", r"beta", r"gamma")),
    _Family("GateLoop", (r"to_qkva\S*",)),
    _Family("neural memory trained at test time (Titans)", (r"to_adaptive_step\S*", r"to_decay_factor\S*")),
    _Family("S4", (r"Lambda_(?:re|real)", r"P(?:_re)?")),
    _Family("S4", (r"(?:inv_A_real|inv_w_real|A_real|w_real|log_A_real)", r"(?:A_imag|w_imag)")),
    _Family("S4", (r"log_dt|inv_dt", r"[Pp]", r"B")),
    _Family("S4 with a dense matrix, or LSSL", (r"(?:log_|inv_)?dt|log_step", r"A", r"B", r"C")),
    _Family("diagonal state space (DSS)", (r"(?:log_)?Lambda\w*", r"W\w*", r"log_dt")),
    _Family("test-time training layer (TTT)", (r"learnable_ttt_lr_(?:weight|bias)",)),
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
    _Family("convolutional LSTM or GRU", (r"(?:conv_?)?h2h\.weight", r"(?:conv_?)?[xi]2h\.weight"), axes=(3, 4, 5)),
    _Family("convolutional LSTM or GRU", (r"hh\.(?:0\.)?weight", r"ih\.(?:0\.)?weight"), axes=(3, 4, 5)),
    _Family("convolutional LSTM or GRU",
            (r"(?:conv_)?reset(?:_?gate)?\.weight", r"(?:conv_)?update(?:_?gate)?\.weight"), axes=(3, 4, 5)),
    _Family("convolutional LSTM or GRU", (r"U_?[zr]\.weight", r"W_?[zr]\.weight"), axes=(3, 4, 5)),
    _Family("convolutional LSTM or GRU", (r"(?:conv_?)?gates?\.weight", r"(?:conv_?)?can(?:d|didate)?\.weight"),
            axes=(3, 4, 5)),
    _Family("convolutional LSTM or GRU", (r"recurrent_kernel(?::0)?", r"kernel(?::0)?"), axes=(3, 4, 5)),
    _Family("GRU with a layer normalization (Dreamer)", (r"GRU_linear\.weight",)),
    _Family("GRU in blocks (Dreamer's RSSM)", (r"dyngru\S*",)),
    _Family("GRU with a layer normalization (Dreamer)", (r"linear\.weight", r"layer_norm\.\S*weight"), r".*_hh.*",
            r"(?i:rnn)"),
    _Family("IndRNN (one weight for each unit)", (r"(?:weight_hh(?:_l\d+)?|recurrent_kernel(?::0)?)",), axes=(1,)),
    _Family("EA-LSTM", (r"weight_hh", r"weight_sh")),
    _Family("EA-LSTM", (r"weight_hh", r"weight_ih"), place=r"dynamic_gates"),
    _Family("Hopfield layer", (r"association_core\.\S+",)),
    _Family("forgetting attention (FoX)", (r"f_proj\.bias", *_PROJECTIONS)),
    _Family("attention whose channels decay (Wall attention)", (r"g_proj\.bias", *_PROJECTIONS)),
    _Family("linear attention whose keys are wider or narrower than its values (Based)",
            tuple(f"{x}_proj{_W}" for x in "qkvo"), fits=_has_feature_map),
    _Family(_UNKNOWN, (rf"[abdfmw]_proj{_W}", *_PROJECTIONS)),  # a letter alone says so beside attention only
    _Family(_UNKNOWN, (_DECAY, _INTO, _OUT_OF)),
    _Family("recurrent network wrapped by FSDP", (r"_?flat_param(?:_\d+)?",), place=r"(?i:rnn|lstm|gru|ssm|mamba)"),
)  # fmt: skip
"""Families by the names of their parameters; the first that a prefix shows is the one."""
_SHOWN = re.compile(rf"(?:^|[./_])(?:{'|'.join(f'(?:{family.shown[0]})' for family in _FAMILIES)})\Z")
"""The first name that shows a family, of whichever family."""

_WORD = re.compile(
    r"(?:^|.*?[./])(?:[^./]*_)?(?:bi|stacked_?|multi_?|custom_?|layer_?norm_?|ln_?)?"
    r"(?P<kind>lstm|gru|rnn|esn|reservoir|indrnn|ltc|cfc|lmu)(?:_?cell)?s?(?:_?[a-z]?\d+)?(?=[./])",
    re.IGNORECASE | re.DOTALL,
)
_KINDS = {"lstm": "an LSTM", "gru": "a GRU"}


class UnreadFamilies:
    """What names show of families that are not read.

    ``sentences`` has one for each family, ``places`` the prefixes that they stand at.
    """

    def __init__(
        self, tensors: Mapping[str, StoredTensor], open_names: Collection[str], linear: Collection[str] = ()
    ) -> None:
        """Look through the tensors; ``open_names`` went into no layer, ``linear`` into linear recurrences."""
        self._tensors = tensors
        self._linear = sorted(linear)
        # Layers that differ in their number are alike: what a name shows is decided once for all of them.
        self._alike: dict[str, list[str]] = {}
        for name in open_names:
            if not is_of_optimizer(name):
                self._alike.setdefault(form(name), []).append(name)
        self._suspects = [one for one in self._alike if _SHOWN.search(one)]
        self._names = sorted(name for name in tensors if not is_of_optimizer(name))
        self._settled = sorted(tensors.keys() - set(open_names))
        found: dict[str, tuple[dict[str, None], tuple[str, ...]]] = {}
        self.places: dict[str, None] = {}
        for family in _FAMILIES:
            for prefix, shown in self._places_of(family):
                self.places[prefix] = None
                found.setdefault(family.name, ({}, shown))[0][prefix] = None
        self.sentences = [_sentence(list(places), f"like {family}", shown) for family, (places, shown) in found.items()]

    def _places_of(self, family: _Family) -> Iterator[tuple[str, tuple[str, ...]]]:
        first = re.compile(rf"(?P<prefix>(?:.*?[./_])?)(?:{family.shown[0]})", re.DOTALL)
        forms = [one for one in self._suspects if re.search(family.place, one) and first.fullmatch(one)]
        for name in (name for one in forms for name in self._alike[one]):
            match = first.fullmatch(name)
            if match is None or (family.axes and len(self._tensors[name].shape) not in family.axes):
                continue
            prefix = match["prefix"]
            if prefix in self.places or not re.search(family.place, prefix):
                continue
            if _any_below(self._linear, prefix or name):  # the rest of a module whose decay was read
                continue
            # A module with a cell that was read may hold layers of any names.
            inside = family.place and prefix and _any_below(self._settled, prefix)
            shown = None if inside else _shown(family, prefix, name, self._names)
            if shown and family.fits and not family.fits([self._tensors[prefix + end].shape for end in shown]):
                continue
            if shown is not None:
                yield prefix, shown

    def hold(self, name: str, /) -> bool:
        """Whether a name stands in a part that looks like one of the families."""
        return bool(self.places) and any(
            name[: index + 1] in self.places for index, letter in enumerate(name) if letter in "./_"
        )

    def named_only(self, explained: Collection[str], /) -> list[str]:
        """Return a sentence for each kind of cell that modules are named after, and of which nothing was made."""
        groups: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
        forms = [one for one in self._alike if _WORD.match(one)]
        for name in (name for one in forms for name in self._alike[one]):
            match = _WORD.match(name)
            if match is None or not _is_weight(self._tensors[name]) or named_reason(name[len(match[0]) :]):
                continue
            places, ends = groups.setdefault(match["kind"].lower(), ({}, {}))
            places[match[0]] = None
            ends[name[len(match[0]) + 1 :]] = None
        known = sorted({*self._settled, *explained, *self.places})
        sentences: list[str] = []
        for kind, (places, ends) in groups.items():
            # A layer or a sentence anywhere inside, or around, is enough.
            silent = [place for place in places if not (_any_below(known, place) or self.hold(f"{place}."))]
            if silent and "" not in self.places:
                word = f"by its name like {_KINDS.get(kind, f'a cell of the kind {kind}')}"
                sentences.append(_sentence(silent, word, tuple(ends)))
        return sentences


def _is_weight(tensor: StoredTensor) -> bool:
    return len(tensor.shape) >= 2 and sum(extent > 1 for extent in tensor.shape) >= 2 and tensor.dtype != "object"


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
