"""The performance table: every goal with its limit, met or missed; ``python -m benchmarks performance``.

Processor time of one thread, contenders in turns. A limit is what the same machine needs for the least that the work
must do: the product, the copy, the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from benchmarks._command_goals import commands
from benchmarks._dynamics_goals import exponents
from benchmarks._goal import Goal, least_time
from benchmarks._spectra_goals import grid, hundred_radii, sparse_radius
from benchmarks._training_goals import live_diagnosis, monitoring, throughput
from unitcircle import initializers as uci
from unitcircle.torch import fill_, initialize_


def rows() -> Iterator[Goal]:
    """Yield the lines of the table."""
    torch.set_num_threads(1)
    yield from initialization()
    yield from small_draws()
    yield from large_draw()
    with TemporaryDirectory() as folder:
        yield from commands(Path(folder))
    yield from exponents()
    yield grid()
    yield hundred_radii()
    yield sparse_radius()
    yield from throughput()
    yield from live_diagnosis()
    yield from monitoring()


def initialization() -> Iterator[Goal]:
    """A bidirectional layer of a biLSTM(1024), as its second to fourth layers are, certificates included."""
    n = 1024
    ours, plain = (nn.LSTM(2 * n, n, bidirectional=True) for _ in range(2))
    generator = torch.Generator().manual_seed(0)

    @torch.no_grad()
    def loop(whole: bool = False) -> None:
        for name, tensor in plain.named_parameters():
            if "weight_hh" in name:
                for gate in tensor.chunk(4):
                    nn.init.orthogonal_(gate, generator=generator)
            elif whole and "weight_ih" in name:
                for gate in tensor.chunk(4):
                    nn.init.xavier_uniform_(gate, generator=generator)
            elif whole and "bias" in name:
                tensor.zero_()
                if "bias_ih" in name:
                    tensor[n : 2 * n] = 1.0

    weight = torch.empty(n, n)
    product, draws = least_time(2, lambda: weight @ weight, lambda: torch.randn(n, n, generator=generator))
    limit = f"8 draws of n² normals {8e3 * draws:.3g} ms; a GEMM of n³ {1e3 * product:.3g} ms"
    whole = {"recurrent": "orthogonal", "input": "xavier_uniform", "bias": "forget_bias"}
    for name, asked, goal, reason in (
        ("recurrent='orthogonal'", {"recurrent": "orthogonal"}, 1.3, "the product of reflections is at LAPACK's rate"),
        ("recurrent='eigen'", {"recurrent": "eigen"}, 4.0, "certificates take as long as the draws"),
        (
            "orthogonal, xavier input, forget bias",
            whole,
            1.0,
            "normals are drawn and mapped to the uniform law, where the loop draws it",
        ),
    ):
        baseline, seconds = least_time(
            1, lambda asked=asked: loop(len(asked) > 1), lambda asked=asked: initialize_(ours, **asked, rng=0)
        )
        work = f"initialize_, one of 4 layers of a biLSTM(1024), {name}, against the loop per gate"
        yield Goal(work, baseline / seconds, goal, "x", limit, reason)


def small_draws() -> Iterator[Goal]:
    """Weights of 64 units, where what a call costs beside its arithmetic decides."""
    n = 64
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(n, n)

    def draw(init: uci.Initializer) -> Callable[[], object]:
        return lambda: weight.copy_(init(torch.randn(n, n, generator=generator)))

    plain, eigen, orthogonal, normals = least_time(
        5,
        lambda: nn.init.orthogonal_(weight, generator=generator),
        lambda: fill_(weight, uci.Eigen(), rng=generator),
        draw(uci.Orthogonal()),
        lambda: torch.randn(n, n, generator=generator),
    )
    for name, seconds in (("Eigen by fill_", eigen), ("Orthogonal of normals", orthogonal)):
        limit = f"n² normals {1e3 * normals:.3g} ms"
        yield Goal(
            f"{name}, n = 64, against orthogonal_",
            plain / seconds,
            1.0,
            "x",
            limit,
            "some twenty array operations, one to three microseconds each, beside LAPACK's product of reflections",
        )


def large_draw() -> Iterator[Goal]:
    n = 2048
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(n, n)
    plain, ours, written, normals = least_time(
        1,
        lambda: nn.init.orthogonal_(weight, generator=generator),
        lambda: fill_(weight, uci.Eigen(), rng=generator),
        lambda: weight.fill_(1.0),
        lambda: torch.randn(n, n, generator=generator),
    )
    limit = f"writing n² numbers {1e3 * written:.3g} ms, n² normals {1e3 * normals:.3g} ms"
    yield Goal("Eigen by fill_, n = 2048, against orthogonal_", plain / ours, 10.0, "x", limit, "a product a tile")
    reason = (
        "an outer product is written at half of the rate of one constant, the cumulative products of 16 tiles take as"
        " long as a writing, their calls another, n angles half of one"
    )
    yield Goal("Eigen by fill_, n = 2048, in writings of n² numbers", ours / written, 4.0, "writings", limit, reason)
