"""Arguments that no function is made for, by what they stand in for."""

import warnings
from functools import cache

import numpy as np
import torch
from scipy import sparse

MAX, TINY = np.finfo(float).max, 5e-324


class Raises:
    """An object whose every conversion fails."""

    shape, ndim, dtype = (2, 2), 2, "nothing"

    def __array__(self, *args, **kwargs):
        raise RuntimeError

    def __repr__(self):
        return "an object that cannot be converted"


@cache
def arrays():
    """Arrays and what is taken for one: every function of a weight answers or refuses them."""
    eye = np.eye(2)
    with warnings.catch_warnings(action="ignore"):  # torch's, of its sparse rows and quantized tensors
        rows, quantized = torch.eye(2).to_sparse_csr(), torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.quint8)
    return {
        "empty": np.zeros((0, 0)),
        "no axes": np.float64(1.0),
        "vector": np.ones(3),
        "rectangular": np.ones((2, 3)),
        "batch of none": np.zeros((0, 2, 2)),
        "zeros": np.zeros((2, 2)),
        "zero batch": np.zeros((3, 2, 2)),
        "nan": eye * np.nan,
        "inf": np.diag([np.inf, 1.0]),
        "-inf": np.diag([-np.inf, 1.0]),
        "one nan of complex": np.array([[complex(0, np.nan), 1], [0, 1]]),
        "largest": np.full((4, 4), MAX),
        "largest complex": np.full((3, 3), complex(MAX, MAX)),
        "least": np.full((4, 4), TINY),
        "of all sizes": np.array([[1e300, 1e-300], [1e-300, 1e300]]),
        "golden at 1e250": np.array([[1e250, 1e250], [1e250, 0.0]]),
        "largest float32": np.full((2, 2), np.finfo(np.float32).max),
        "float16": np.eye(2, dtype=np.float16) * 6e4,
        "integers": np.eye(2, dtype=int),
        "unsigned": np.full((2, 2), 2**64 - 1, np.uint64),
        "booleans": eye > 0,
        "objects": np.array([[1, None], [None, 1]], object),
        "texts": np.array([["a", "b"], ["c", "d"]]),
        "dates": np.zeros((2, 2), "datetime64[s]"),
        "records": np.zeros((2, 2), [("a", float)]),
        "long doubles": np.eye(2, dtype=np.longdouble),
        "large long doubles": np.full((2, 2), np.longdouble(MAX) * 4),
        "big integers": [[10**400, 1], [1, 1]],
        "ragged": [[1.0], [1.0, 2.0]],
        "ragged objects": [[1.0, [2.0]], [3.0, 4.0]],
        "nothing": None,
        "text": "abc",
        "dictionary": {"a": 1},
        "set": {1, 2},
        "function": len,
        "unconvertible": Raises(),
        "masked": np.ma.masked_array(eye, eye > 0),
        "read only": np.broadcast_to(1.0, (2, 2)),
        "sparse": sparse.csr_array(eye),
        "sparse of nothing": sparse.csr_array((2, 2)),
        "sparse booleans": sparse.csr_array(eye).astype(bool),
        "sparse vector": sparse.coo_array(np.ones(3)),
        "torch": torch.eye(2),
        "torch conjugate": (torch.eye(2) * (1 + 1j)).conj().T,
        "torch negative": (torch.eye(2) * (1 + 1j)).conj().imag,
        "torch sparse": torch.eye(2).to_sparse(),
        "torch sparse rows": rows,
        "torch meta": torch.empty((2, 2), device="meta"),
        "torch with gradient": torch.eye(2, requires_grad=True),
        "torch bfloat16": torch.eye(2, dtype=torch.bfloat16),
        "torch float8": torch.eye(2).to(torch.float8_e4m3fn),
        "torch nan": torch.full((2, 2), torch.nan),
        "torch quantized": quantized,
        "torch nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    }


NUMBERS = {
    "nothing": None,
    "zero": 0,
    "negative": -1,
    "half": 1.5,
    "whole float": 3.0,
    "true": True,
    "numpy true": np.True_,
    "nan": float("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "largest": MAX,
    "least": TINY,
    "beyond 64 bits": 2**64,
    "beyond floats": 10**400,
    "complex": 1j,
    "text": "x",
    "digit": "3",
    "empty text": "",
    "bytes": b"3",
    "list": [1],
    "empty list": [],
    "pair": (1, 2),
    "nested": [[1]],
    "array": np.ones(2),
    "array of one": np.ones(1),
    "dictionary": {"a": 1},
    "set": {1},
    "function": len,
    "type": int,
    "torch": torch.ones(2),
    "torch nan": torch.tensor(float("nan")),
    "unconvertible": Raises(),
}
"""Stand in for sizes, tolerances, probabilities, seeds and words."""
