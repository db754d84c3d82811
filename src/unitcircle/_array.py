"""The only door to array-api-compat: namespaces, element types, checks.

Two kinds of code pass through here. *Initializers* stay in the caller's array library from end to end, so that
they trace under ``jax.jit`` and run where the tensor lives: they use :func:`gaussian`. *Measurements* need LAPACK
in double precision whatever the library: they use :func:`weight`, compute with NumPy, and hand results back in
the caller's library through :meth:`Weight.restore`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import array_api_compat
import numpy as np

from unitcircle.errors import DtypeError, NotFiniteError, ShapeError

FLOATING = ("float64", "float32", "bfloat16", "float16", "complex128", "complex64")
LARGEST_DRAW = 1e6
LOW_PRECISION = frozenset({"float16", "bfloat16"})
MATRIX_AXES = 2
_STANDARD = hasattr(np, "cumulative_sum")
"""Whether NumPy has all that is used here by the names of the array API, as from 2.1 on: a copy of it imports f2py."""

_NAMESPACES: dict[type, Any] = {}
"""Classes of torch's tensors, whose namespace a draw asks for ten times."""


@runtime_checkable
class Array(Protocol):
    """What every array library's array has."""

    @property
    def shape(self) -> tuple[Any, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def dtype(self) -> Any: ...


ArrayT = TypeVar("ArrayT", bound=Array)


def namespace(array: Array, /) -> Any:
    """Return the array-API namespace of an array: NumPy's, torch's, JAX's, ..."""
    if _STANDARD and isinstance(array, np.ndarray | np.generic):
        return np
    kind = type(array)
    if kind not in _NAMESPACES:
        found = array_api_compat.array_namespace(array)
        if not array_api_compat.is_torch_array(array):  # of others it may depend on more than their class
            return found
        _NAMESPACES[kind] = found
    return _NAMESPACES[kind]


def library(array: Array, /) -> str:
    """Return the library of an array: ``"numpy"``, ``"torch"``, ``"jax"`` or ``"other"``."""
    if isinstance(array, np.ndarray):
        return "numpy"
    if array_api_compat.is_torch_array(array):
        return "torch"
    return "jax" if array_api_compat.is_jax_array(array) else "other"


def device(array: Any, /) -> Any:
    """Return the device of an array, as its library's constructors take it."""
    return array_api_compat.device(array)


def dtype_name(array: Array, /) -> str:
    """Return the bare name of an array's element type: ``"float32"`` for NumPy, torch and JAX alike."""
    dtype = array.dtype
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def complex_dtype(xp: Any, dtype: Any, /) -> Any:
    """Return the complex element type as wide as a real one."""
    # A tuple: NumPy's dtypes equal its scalar types but do not hash alike.
    return xp.complex64 if dtype in (xp.float32, xp.complex64) else xp.complex128


def gaussian(z: ArrayT, /, *, axes: int = MATRIX_AXES) -> tuple[ArrayT, Callable[[Any], ArrayT]]:
    """Return a standard-normal array ``(..., m, n)``, at least in float32, and the cast back to its own type."""
    # The masked arrays of NumPy are imported by asking for their name.
    if not _is_array(z) or (type(z) is not np.ndarray and isinstance(z, np.ma.MaskedArray | np.matrix)):
        z = cast("ArrayT", to_numpy(z, argument="z"))
    if not _is_dense(z):
        raise DtypeError("z", "must be dense", _sort(z), "Draw a dense standard-normal array.")
    if z.ndim < axes:
        shape = "(..., n)" if axes == 1 else "(..., m, n)"
        raise ShapeError("z", f"must be a standard-normal array of shape {shape}", f"shape {tuple(z.shape)}")
    name = dtype_name(z)
    if name not in FLOATING:
        rule = f"must hold floating-point numbers ({', '.join(FLOATING)})"
        raise DtypeError("z", rule, f"dtype {name}", "Draw it from a standard normal law.")
    if name not in LOW_PRECISION:
        return z, lambda result: result
    dtype = z.dtype
    if isinstance(z, np.ndarray):
        high = cast("ArrayT", z.astype(np.float32))

        def lower(result: Any) -> Any:
            with np.errstate(over="ignore"):
                return result if np.iscomplexobj(result) else result.astype(dtype)

        return high, lower
    xp = namespace(z)
    is_complex = (xp.complex64, xp.complex128)
    return xp.astype(z, xp.float32), lambda result: result if result.dtype in is_complex else xp.astype(result, dtype)


def ndtr(x: ArrayT, /) -> ArrayT:
    """Return the standard normal distribution function, elementwise, in the array's own library."""
    return in_library_of(x, _special(x).ndtr(x))


def erf(x: ArrayT, /) -> ArrayT:
    """Return the error function, elementwise, in the array's own library: 2 ndtr(√2 x) − 1 without its cancellation."""
    return in_library_of(x, _special(x).erf(x))


def ndtri(p: ArrayT, /) -> ArrayT:
    """Return the standard normal quantile function, elementwise, in the array's own library."""
    return in_library_of(p, _special(p).ndtri(p))


_SPECIAL = {"torch": "torch.special", "jax": "jax.scipy.special"}


def _special(x: Array) -> Any:
    # The framework of an existing array is imported already.
    return importlib.import_module(_SPECIAL.get(library(x), "scipy.special"))


def to_numpy(array: Any, /, *, argument: str = "W") -> np.ndarray:
    """Return any array, tensor or nested sequence as a NumPy array on the host, in its own element type."""
    if not _is_dense(array):
        raise DtypeError(
            argument, "must be dense here", _sort(array), "Make it dense; spectral_radius takes those of SciPy."
        )
    try:
        if array_api_compat.is_torch_array(array):
            array = array.detach().cpu().resolve_conj().resolve_neg()
            array = (array.float() if dtype_name(array) == "bfloat16" else array).numpy()
        elif hasattr(array, "__array_namespace__") and not isinstance(array, np.ndarray):
            array = np.asarray(array) if hasattr(array, "__array__") else np.from_dlpack(array)
        result = np.asarray(array)
    except (ValueError, TypeError, NotImplementedError, RuntimeError, OverflowError) as error:
        what = "a ragged sequence" if isinstance(array, list | tuple) else _sort(array)
        raise DtypeError(argument, "must be a rectangular array of numbers", what) from error
    if result.dtype.name == "bfloat16":
        result = result.astype(np.float32)
    if result.dtype.kind not in "fciub":
        raise DtypeError(argument, "must hold real or complex numbers", f"dtype {result.dtype}")
    return result


def _is_array(array: Any) -> bool:
    """Return whether an array library is known to be that of an array."""
    return array_api_compat.is_array_api_obj(array)


def _is_dense(array: Any) -> bool:
    """Return whether every number of an array is stored: not a sparse matrix, nor a tensor of shapes only."""
    if "scipy.sparse" in sys.modules:  # only if the caller already has it
        from scipy import sparse  # noqa: PLC0415

        if sparse.issparse(array):
            return False
    return "sparse" not in str(getattr(array, "layout", "")) and not getattr(array, "is_nested", False)


def _sort(array: Any) -> str:
    """Return what an array is, for a message."""
    if getattr(array, "is_meta", False):
        return "a tensor on the meta device, which has no values"
    layout = getattr(array, "layout", None) or f"{type(array).__module__}.{type(array).__qualname__}"
    return f"an array of kind {layout}"


def in_library_of(template: Any, result: Any, /) -> Any:
    """Return a NumPy result in the library, and on the device, of the array it was computed from."""
    if isinstance(template, np.ndarray | np.generic) or not array_api_compat.is_array_api_obj(template):
        return result
    xp: Any = namespace(cast("Array", template))
    return result if isinstance(result, type(template)) else xp.asarray(result, device=device(template))


@dataclass(frozen=True, eq=False)
class Weight:
    """A weight, or a batch of weights, in double precision for measurements."""

    value: np.ndarray  # (..., n, n) in float64 or complex128
    # Unit roundoff of the type the caller passed: a float32 weight carries float32's rounding errors however
    # precisely it is measured, so tolerances are multiples of this.
    eps: float
    source: Any  # The caller's array

    @property
    def n(self) -> int:
        """The size of one weight."""
        return self.value.shape[-1]

    @property
    def batch(self) -> tuple[int, ...]:
        """The batch shape: ``()`` for a single weight."""
        return self.value.shape[:-2]

    def restore(self, result: np.ndarray | np.generic) -> Any:
        """Return a result in the caller's library; a scalar of a single weight becomes a Python number."""
        if np.ndim(result) == 0:
            return result.item()
        return in_library_of(self.source, np.asarray(result))


HALF_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""The eps of the half-precision types, whose values NumPy measures in a wider type."""


def weight(W: Any, /, *, argument: str = "W", axes: int = MATRIX_AXES, square: bool = True) -> Weight:
    """Check that a weight ``(..., n, n)`` is finite, and convert it for measurement."""
    array = to_numpy(W, argument=argument)
    shape = array.shape
    if square and (array.ndim < axes or shape[-1] != shape[-2]):
        raise ShapeError(argument, "must be square in its last two axes", f"shape {shape}")
    if array.ndim < axes:
        raise ShapeError(argument, f"must have at least {axes} axes", f"shape {shape}")
    if 0 in shape[-axes:]:
        raise ShapeError(argument, "must have at least one unit", f"shape {shape}")
    name = dtype_name(W) if hasattr(W, "dtype") else array.dtype.name
    kind = array.dtype.type if array.dtype.kind in "fc" else np.float64
    eps = HALF_EPS.get(name) or float(np.finfo(kind).eps)
    with np.errstate(over="ignore"):  # of a long double, whose infinity is refused
        value = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64, order="C")
    if not np.isfinite(value).all():
        bad = int(np.size(value) - np.isfinite(value).sum())
        raise NotFiniteError(argument, "must be finite", f"{bad} entries of {value.size} that are NaN or infinite")
    return Weight(value, eps, W)


def one_weight(W: Any, /, *, argument: str = "W") -> Weight:
    """Check as :func:`weight` does, and refuse a batch."""
    found = weight(W, argument=argument)
    if found.batch:
        raise ShapeError(argument, "must be one square matrix (n, n)", f"shape {found.value.shape}")
    return found


def require_finite(array: Any, /, *, argument: str) -> None:
    """Refuse a NaN or an infinity, where values can be looked at: not those of a traced or a meta array."""
    if may_be(namespace(array).isfinite(array)):
        return
    raise NotFiniteError(argument, "must be finite", "a NaN or an infinity")


def require_normal(z: Any, /) -> None:
    """Refuse numbers that no normal law gives, where values can be looked at."""
    if 0 in z.shape or _may_be_within(z, LARGEST_DRAW):
        return
    rule = f"must be finite, as standard-normal numbers are, and at most {LARGEST_DRAW:g}"
    raise NotFiniteError("z", rule, "a NaN, an infinity or a larger number")


def _may_be_within(z: Any, limit: float) -> bool:
    """Return whether no modulus is beyond a limit and none is NaN, or none can be looked at; reals are not copied."""
    xp = namespace(z)
    try:
        if dtype_name(z).startswith("complex"):
            return bool(xp.all(abs(z) <= limit))
        return bool(xp.max(z) <= limit) and bool(xp.min(z) >= -limit)
    except (TypeError, RuntimeError, NotImplementedError):
        return True


def may_be(condition: Any) -> bool:
    """Return whether a condition holds everywhere, or cannot be looked at."""
    try:
        return bool(namespace(condition).all(condition))
    except (TypeError, RuntimeError, NotImplementedError):
        return True


def reals(values: Any, /, *, argument: str = "x") -> np.ndarray:
    """Return real numbers of any array library, or nested sequences of them, as a NumPy array of doubles."""
    array = to_numpy(values, argument=argument)
    if array.dtype.kind == "c":
        raise DtypeError(argument, "must be real", f"dtype {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def floating(array: Any, /, *, argument: str, axes: int = MATRIX_AXES, low: bool = False) -> Any:
    """Return a floating-point array of matrices ``(..., m, n)`` as it is, and a nested sequence as one of NumPy."""
    found: Any = array if _is_array(array) else to_numpy(array, argument=argument)
    if not _is_dense(found):
        raise DtypeError(argument, "must be dense", _sort(found))
    if (name := dtype_name(found)) not in FLOATING or (name in LOW_PRECISION and not low):
        raise DtypeError(argument, "must hold numbers of single or double precision", f"dtype {name}")
    if found.ndim < axes:
        raise ShapeError(argument, "must be a matrix (..., m, n)", f"shape {tuple(found.shape)}")
    return found
