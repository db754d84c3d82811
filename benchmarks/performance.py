"""The performance table: every goal with its limit, met or missed; ``python -m benchmarks performance``.

Processor time of one thread, contenders in turns. A limit is what the same machine needs for the least that the work
must do: the product, the copy, the draws. What is measured in other modules stands there: the live diagnosis in
``live``, the monitor in ``monitor``, studies in ``study``, radii in ``ensembles`` and ``radius``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from benchmarks._goal import Goal, child, least_time
from unitcircle import initializers as uci
from unitcircle.spectra import pseudospectrum, spectral_radius
from unitcircle.torch import initialize_

COMMAND = (sys.executable, "-m", "unitcircle")
BUSY = "processor seconds of a busy machine; a bare interpreter takes {:.2f} s of them here"


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
    yield sparse_radius()


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
        ("recurrent='eigen'", {"recurrent": "eigen"}, 4.0, "n² normals are drawn for n − 1 angles, by contract"),
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
        draw(uci.Eigen()),
        draw(uci.Orthogonal()),
        lambda: torch.randn(n, n, generator=generator),
    )
    for name, seconds in (("Eigen", eigen), ("Orthogonal", orthogonal)):
        limit = f"n² normals {1e3 * normals:.3g} ms"
        yield Goal(
            f"{name}, n = 64, against orthogonal_",
            plain / seconds,
            1.0,
            "x",
            limit,
            "the calls of array operations, twenty microseconds each, weigh more than their work",
        )


def large_draw() -> Iterator[Goal]:
    n = 2048
    generator = torch.Generator().manual_seed(0)
    weight = torch.empty(n, n)
    plain, ours, written, normals = least_time(
        1,
        lambda: nn.init.orthogonal_(weight, generator=generator),
        lambda: weight.copy_(uci.Eigen()(torch.randn(n, n, generator=generator))),
        lambda: weight.fill_(1.0),
        lambda: torch.randn(n, n, generator=generator),
    )
    limit = f"writing n² numbers {1e3 * written:.3g} ms, n² normals {1e3 * normals:.3g} ms"
    yield Goal("Eigen, n = 2048, against orthogonal_", plain / ours, 10.0, "x", limit, "n² normals are drawn")
    reason = "n² normals are drawn, because an initializer is a function of an array of the weight's shape"
    yield Goal("Eigen, n = 2048, in writings of n² numbers", ours / written, 4.0, "writings", limit, reason)


def commands(folder: Path) -> Iterator[Goal]:
    """Commands as processes, byte code cached: their processor time and memory."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    files = {
        "4 MB": (nn.LSTM(354, 354), folder / "4.safetensors", 1.2),
        "40 MB": (nn.LSTM(1118, 1118), folder / "40.safetensors", 6.0),
        "400 GRU layers of 64": (nn.GRU(64, 64, num_layers=400), folder / "400.safetensors", 6.0),
    }
    for module, path, _ in files.values():
        save_file(module.state_dict(), path)
    bare = child([sys.executable, "-c", "pass"])[0]
    imports = child([sys.executable, "-c", "import scipy.linalg, rich.console, tyro"])[0]
    busy = BUSY.format(bare)
    text: dict[str, float] = {}
    for name, (module, path, goal) in files.items():
        seconds, memory = child([*COMMAND, "diagnose", str(path)], rounds=1)
        text[name] = seconds
        blocks = [w.chunk(len(w) // w.shape[1]) for k, w in module.state_dict().items() if "weight_hh" in k]
        eigenvalues = least_time(1, lambda blocks=blocks: [np.linalg.eigvals(b.numpy()) for w in blocks for b in w])[0]
        limit = f"eigenvalues of all blocks {eigenvalues:.2g} s, imports {imports:.2g} s; {memory:.0f} MiB"
        yield Goal(f"diagnose, {name}, cold", seconds, goal, "s", limit, busy)
    path = files["4 MB"][1]
    as_json = child([*COMMAND, "diagnose", str(path), "--json"])[0]
    reason = f"‖W⁶⁴‖ of four gates by six squarings; {busy}"
    yield Goal("--json over text, 4 MB", as_json / text["4 MB"], 1.05, "times", "1", reason)
    page = child([*COMMAND, "diagnose", str(path), "--html", str(folder / "page.html")], rounds=1)[0]
    W = np.random.default_rng(0).standard_normal((354, 354))
    product = least_time(2, lambda: W @ W)[0]
    limit = f"256 products of n³ {256 * product:.2g} s"
    yield Goal("--html over text, 4 MB", page - text["4 MB"], 1.0, "s", limit, f"Matplotlib and six figures; {busy}")
    yield Goal("unitcircle --help", child([*COMMAND, "--help"])[0], 0.15, "s", f"bare interpreter {bare:.2g} s", busy)
    run = folder / "run.jsonl"
    for count, goal, most in ((10_000, 0.2, 150),):
        write_run(run, count)
        seconds, memory = child([*COMMAND, "watch", str(run), "--once"])
        lines = run.read_bytes().splitlines()[:2000]
        parsed = least_time(1, lambda lines=lines: [json.loads(line) for line in lines])[0] * count / 2000
        limit = f"json.loads of every line {parsed:.2g} s, imports {imports:.2g} s"
        work = f"watch --once, {count:,} records of 1.9 kB"
        yield Goal(f"{work}: over the imports", seconds - imports, goal, "s", limit, "every line is parsed and checked")
        yield Goal(f"{work}: memory", memory, most, "MiB", "places and drawn numbers 100 bytes a record")


def write_run(path: Path, count: int) -> None:
    """Write a run of a monitor with eight blocks."""
    rng = np.random.default_rng(0)
    metrics = ("radius", "norm", "orthogonality", "drift", "update", "gradient", "transient")
    names = [f"rnn.weight_hh_l{k}[{gate}]/{metric}" for k in range(2) for gate in "ifgo" for metric in metrics]
    with path.open("w") as file:
        for step in range(count):
            record = {"run": "a", "step": 10 * step, "loss": 1.0 / (1 + step)}
            record |= dict(zip(names, rng.random(len(names)).round(7).tolist(), strict=True))
            file.write(json.dumps(record) + "\n")


def exponents(n: int = 200, steps: int = 300) -> Iterator[Goal]:
    """Lyapunov exponents of a tanh network against a jitted JAX scan with a QR factorization at every step."""
    import jax
    import jax.numpy as jnp

    from unitcircle.dynamics import lyapunov_exponents

    jax.config.update("jax_enable_x64", True)
    torch.manual_seed(0)
    module = nn.RNN(1, n).double()
    with torch.no_grad():
        module.weight_hh_l0.normal_(std=1.2 / n**0.5)
    inputs = torch.randn(steps, 1, 1, dtype=torch.float64)
    W, U = (jnp.asarray(w.detach().numpy()) for w in (module.weight_hh_l0, module.weight_ih_l0))
    b = jnp.asarray((module.bias_hh_l0 + module.bias_ih_l0).detach().numpy())
    x = jnp.asarray(inputs[:, 0].numpy())
    for k, goal in ((1, 0.5), (10, 0.7)):

        @jax.jit
        def scan(W, U, b, x, k=k):
            def step(carry, x_t):
                h, Q = carry
                h = jnp.tanh(W @ h + U @ x_t + b)
                Q, R = jnp.linalg.qr((1 - h**2)[:, None] * (W @ Q))
                return (h, Q), jnp.log(jnp.abs(jnp.diagonal(R)))

            return jax.lax.scan(step, (jnp.zeros(n), jnp.eye(n, k)), x)[1].mean(0)

        theirs, ours = least_time(
            2,
            lambda scan=scan: scan(W, U, b, x).block_until_ready(),
            lambda k=k: lyapunov_exponents(module, inputs, k=k),
        )
        limit = f"one read of W a step: {1e3 * steps * n * n * 8 / 1e10:.2g} ms at 10 GB/s"
        yield Goal(
            f"lyapunov_exponents, tanh, n = {n}, k = {k}, against a jitted scan (ours also: errors, a check)",
            theirs / ours,
            goal,
            "x",
            limit,
            "every step is dispatched from Python; a compiled loop is not built yet",
        )


def grid(n: int = 200, side: int = 100, sample: int = 100) -> Goal:
    """A pseudospectrum against an SVD a point that uses the same symmetry: half of the points."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((n, n)) / n**0.5
    z = rng.uniform(-1, 1, sample) + 1j * rng.uniform(0, 1, sample)
    theirs, ours = least_time(
        1,
        lambda: [np.linalg.svd(w * np.eye(n) - W, compute_uv=False) for w in z],
        lambda: pseudospectrum(W, side),
    )
    product = least_time(2, lambda: W.astype(complex) @ np.ones((n, 2048), complex))[0]
    limit = f"three Lanczos steps, two triangular solves each, at GEMM rate {6 * product / 2 * side**2 / 4096:.2g} s"
    ratio = theirs * side**2 / 2 / sample / ours
    reason = "Lanczos takes 4 to 20 steps a point; solves of 24 rows run at half of the rate of a product"
    return Goal(f"pseudospectrum, n = {n}, {side}², against symmetric SVDs", ratio, 15.0, "x", limit, reason)


def sparse_radius(n: int = 1000) -> Goal:
    W = uci.Sparse(density=0.1, radius=1.0).sample(n, rng=0)
    theirs, ours = least_time(1, lambda: np.linalg.eigvals(W.toarray()), lambda: spectral_radius(W, tol=1e-6))
    product = least_time(2, lambda: W @ np.ones(n))[0]
    limit = f"a product {1e3 * product:.2g} ms"
    return Goal(
        f"spectral_radius, sparse, n = {n}, error at most 1e-6, against LAPACK", theirs / ours, 5.0, "x", limit,
        "a Krylov space of a disc of eigenvalues needs some hundred products",
    )  # fmt: skip
