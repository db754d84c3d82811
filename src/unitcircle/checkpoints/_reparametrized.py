"""Weights that a file stores as the parts they are computed from: a norm and a direction, a mask, an orthogonal map."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from unitcircle.checkpoints._room import ask, work
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError

Weight = Callable[..., np.ndarray]
COPIES = 2
"""Arrays of double precision in the size of its parts that computing a weight takes."""
LARGEST_EXPONENTIAL = 1500
"""Rows of the largest matrix whose exponential is computed: three seconds, and fourteen times its size."""
_SUFFIXED = re.compile(
    r"(?P<plain>.*(?:weight|kernel|(?:^|[._/])[WwU])(?:_[a-z]{2})?(?:_l\d+)?(?:_reverse)?)_(?P<part>orig|raw|v)",
    re.DOTALL,
)
_BASE = re.compile(r"0\.((blocks|bases)\.\d+\.)?(base|signs)")
_SCHUR = frozenset({"original0", "original1", "original2", "original3"})
"""P, moduli, phases and what is above the diagonal, of :func:`unitcircle.torch.parametrize_schur`."""
_ASSUMED_MAP = (
    "an orthogonal parametrization is taken as torch's default map: another one changes the weight, "
    "and leaves its singular values"
)


@dataclass(frozen=True)
class Restored:
    """Tensors under the names that their modules use; what some are computed from; remarks; what was not understood."""

    tensors: dict[str, StoredTensor]
    parts: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]
    unread: tuple[str, ...]


def restored(stored: Mapping[str, StoredTensor], /) -> Restored:
    """Return tensors in which every reparametrized weight stands under its plain name, computed when it is loaded."""
    children = _parametrizations(stored)
    weights: dict[str, tuple[str, tuple[str, ...], Weight]] = {}
    notes, unread, gone = dict[str, None](), dict[str, None](), set[str]()
    for name in stored:
        if name in children:
            prefix, plain = children[name][0]
            found = _of_parametrization(name, children[name][1], stored, notes)
            if found is None:
                unread[f"{prefix}{plain} is stored in a parametrization that is not known ({name}): not read"] = None
                continue
        else:
            prefix, plain, found = _of_suffix(name, stored)
        if found is not None and len(stored[name].shape) >= 2:
            names, weight = found
            weights[name] = (prefix + plain, names, weight)
            gone.update((*names, prefix + plain))
    tensors: dict[str, StoredTensor] = {}
    parts: dict[str, tuple[str, ...]] = {}
    for name, tensor in stored.items():
        if name in weights:
            plain, names, weight = weights[name]
            load = _loader(plain, weight, [stored[part] for part in names])
            tensors[plain], parts[plain] = StoredTensor(tensor.shape, tensor.dtype, load), names
        elif name not in gone:
            tensors[name] = tensor
    return Restored(tensors, parts, tuple(notes), tuple(unread))


def _loader(name: str, weight: Weight, parts: list[StoredTensor]) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        arrays = [part.load() for part in parts]
        ask(COPIES * 8 * sum(array.size for array in arrays), "the weights that its parts make")
        try:
            with np.errstate(all="ignore"):  # a norm of zero gives NaN, which the findings name
                value = weight(*(array.astype(np.result_type(array, np.float64)) for array in arrays))
        except (ValueError, IndexError, TypeError) as error:
            raise ArgumentError(name, "must be stored in parts that fit together", str(error)) from error
        if value.shape != arrays[0].shape:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ArgumentError(name, "must be stored in parts that fit together", f"shapes {shapes}")
        return value.astype(arrays[0].dtype, copy=False)

    return load


def _parametrizations(stored: Mapping[str, StoredTensor]) -> dict[str, tuple[tuple[str, str], dict[str, str]]]:
    """Return, for the first original of every torch parametrization, (prefix, plain name) and leaf → full name."""
    groups: dict[str, tuple[tuple[str, str], dict[str, str]]] = {}
    for name in stored:
        prefix, marker, rest = name.partition("parametrizations.")
        plain, _, leaf = rest.partition(".")
        if marker and leaf:
            groups.setdefault(f"{prefix}{marker}{plain}", ((prefix, plain), {}))[1][leaf] = name
    return {
        leaves[first]: (place, leaves)
        for place, leaves in groups.values()
        for first in (_of_weight_shape(leaves),)
        if first in leaves
    }


def _of_weight_shape(leaves: Mapping[str, str]) -> str:
    """Return the original that has the shape of the weight: the direction beside a norm, P of a Schur form."""
    if leaves.keys() >= _SCHUR:
        return "original0"
    return "original1" if "original1" in leaves else "original"


def _of_parametrization(
    name: str, leaves: Mapping[str, str], stored: Mapping[str, StoredTensor], notes: dict[str, None]
) -> tuple[tuple[str, ...], Weight] | None:
    """Return what a parametrized weight is computed from, the part in its own shape first, and how."""
    kind = leaves.keys() - {"original", *_SCHUR}
    bases = sorted((leaf for leaf in kind if _BASE.fullmatch(leaf)), key=_natural)
    if any(leaf.endswith("base") for leaf in bases):
        notes[_ASSUMED_MAP] = None
    if leaves.keys() >= _SCHUR:
        if not bases or kind - {*bases}:
            return None
        return (*(leaves[leaf] for leaf in sorted(_SCHUR)), *(leaves[leaf] for leaf in bases)), _of_schur_form
    if "original1" in leaves:
        known = set(leaves) == {"original0", "original1"} and _is_norm(stored[leaves["original0"]])
        return ((name, leaves["original0"]), _of_norm) if known else None
    if kind == {"0._u", "0._v"}:
        return (name, leaves["0._u"], leaves["0._v"]), _of_spectral_norm
    if bases and kind - {*bases} <= {"0.gain"}:
        if "0.gain" not in kind and any("blocks" in leaf for leaf in bases):
            notes["a gain of 1 is assumed for orthogonal blocks whose file, of unitcircle 0.1, does not hold it"] = None
        gain = [leaves["0.gain"]] if "0.gain" in leaves else []
        return (name, *(leaves[leaf] for leaf in bases), *gain), _orthogonal_with_gain if gain else _orthogonal
    return None


def _of_suffix(name: str, stored: Mapping[str, StoredTensor]) -> tuple[str, str, tuple[tuple[str, ...], Weight] | None]:
    """Return prefix, plain name and parts of a weight stored with suffixes: ``_orig``, ``_raw``, ``_g`` and ``_v``."""
    match = _SUFFIXED.fullmatch(name) if name.endswith(("_orig", "_raw", "_v")) else None
    if match is None:
        return "", "", None
    plain, part = match["plain"], match["part"]
    if part == "v":
        norm = stored.get(f"{plain}_g")
        found = ((name, f"{plain}_g"), _of_norm) if norm is not None and _is_norm(norm) else None
    elif part == "raw" and "weight" in plain:
        found = (name,), np.asarray
        # fastai keeps the raw weight beside the module that it is a weight of.
        prefix, dot, leaf = plain.rpartition(".")
        inside = f"{prefix}{dot}module.{leaf}"
        if inside.replace("_hh", "_ih") in stored:
            plain = inside
    elif f"{plain}_mask" in stored:
        found = (name, f"{plain}_mask"), np.multiply
    elif f"{plain}_u" in stored:
        vectors = [f"{plain}_{vector}" for vector in "uv" if f"{plain}_{vector}" in stored]
        found = (name, *vectors), _of_spectral_norm
    else:
        found = None
    return "", plain, found


def _is_norm(tensor: StoredTensor) -> bool:
    """Return whether a tensor varies along one axis at most, as the norms of rows or columns do."""
    return sum(extent > 1 for extent in tensor.shape) <= 1


def _natural(leaf: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", leaf)]


def _of_norm(direction: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """Return g v / ‖v‖, the norm over every axis along which g does not vary."""
    axes = tuple(axis for axis in range(direction.ndim) if norm.ndim != direction.ndim or norm.shape[axis] == 1)
    return norm * direction / np.sqrt(np.sum(direction**2, axis=axes, keepdims=True))


def _of_spectral_norm(weight: np.ndarray, u: np.ndarray, v: np.ndarray | None = None) -> np.ndarray:
    """Return W / σ with σ = uᵀ W v, the estimate that the module divides by."""
    matrix = weight.reshape(len(weight), -1)
    if v is None:
        v = matrix.T @ u
        v = v / np.linalg.norm(v)
    return weight / (u @ matrix @ v)


def _orthogonal_with_gain(free: np.ndarray, *parts: np.ndarray) -> np.ndarray:
    return parts[-1] * _orthogonal(free, *parts[:-1])


def _orthogonal(free: np.ndarray, *bases: np.ndarray) -> np.ndarray:
    """Return the orthogonal blocks ``base @ map(X)`` that torch makes of its free parameters X."""
    blocks = list(zip(np.split(free, len(bases)), bases, strict=True))
    return np.concatenate([_orthogonal_block(X, base) for X, base in blocks])


def _orthogonal_block(free: np.ndarray, base: np.ndarray) -> np.ndarray:
    if base.ndim == 1:
        return _scaled_cayley(free, base)
    return base @ _exponential(free) if free.shape[0] == free.shape[1] else _of_reflections(free, base)


def _scaled_cayley(free: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Return (I + A)⁻¹ (I − A) D, whose skew-symmetric A has the free entries above its diagonal."""
    ask(5 * 8 * free.size, "the orthogonal matrix of its weights")
    work(len(free) ** 3 // 1000, "the orthogonal matrix of its weights")
    upper = np.triu(free, 1)
    A, eye = upper - upper.T, np.eye(len(free))
    return np.linalg.solve(eye + A, eye - A) * signs


def _of_schur_form(
    free: np.ndarray, moduli: np.ndarray, phases: np.ndarray, upper: np.ndarray, *bases: np.ndarray
) -> np.ndarray:
    """Return the blocks ``P (Λ + T) Pᵀ`` of this package's Schur form: rotations by pairs, and what is above them."""
    n = free.shape[1]
    ask(4 * 8 * free.size, "the weights of its Schur form")
    parts = zip(np.split(free, len(bases)), moduli, phases, np.split(upper, len(bases)), bases, strict=True)
    blocks: list[np.ndarray] = []
    for X, sizes, angles, T, base in parts:
        P, S = _orthogonal_block(X, base), np.triu(T, 1)
        pairs = len(angles)
        S[np.diag_indices(n)] = [*np.repeat(sizes[:pairs] * np.cos(angles), 2), *sizes[pairs:]]
        even, sines = 2 * np.arange(pairs), sizes[:pairs] * np.sin(angles)
        S[even, even + 1] -= sines
        S[even + 1, even] += sines
        blocks.append(P @ S @ P.T)
    return np.concatenate(blocks)


def _exponential(free: np.ndarray) -> np.ndarray:
    # Importing SciPy takes longer than reading a file, and such weights are rare.
    from scipy.linalg import expm  # noqa: PLC0415

    n = len(free)
    if n > LARGEST_EXPONENTIAL:
        remedy = "Save the model after torch.nn.utils.parametrize.remove_parametrizations."
        rule = f"must have at most {LARGEST_EXPONENTIAL} rows to be an exponential that is computed"
        raise ArgumentError("the weight", rule, str(n), remedy)
    ask(14 * 8 * n * n, "the exponential of its weights")
    work(n**3 // 1000, "the exponential of its weights")
    lower = np.tril(free)
    return expm(lower - lower.T)


def _of_reflections(free: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return base Q for a weight that is not square, Q the first columns of a product of Householder reflections."""
    wide = free.shape[0] < free.shape[1]
    tall = free.T if wide else free
    rows, columns = tall.shape
    work(rows * columns * columns // 200, "the reflections of its weights")
    Q = np.eye(rows, columns)
    for k in reversed(range(columns)):
        v = np.concatenate([np.zeros(k), [1.0], tall[k + 1 :, k]])
        Q -= np.outer(2.0 / (v @ v) * v, v @ Q)
    Q = base @ (Q * np.trunc(np.diagonal(tall)))
    return Q.T if wide else Q
