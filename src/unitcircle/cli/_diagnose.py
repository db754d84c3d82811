"""``unitcircle diagnose``: find every recurrent layer of a file or a live model, measure it, report findings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import BadZipFile

from tyro.conf import Positional, UseAppendAction, arg

UNREAD = 3
"""Exit status where nothing was analysed, or something that looks recurrent was not read."""
FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def diagnose(
    path: Positional[str],
    /,
    *,
    steps: int | None = None,
    data: Path | None = None,
    tensor: UseAppendAction[tuple[str, ...]] = (),
    layout: str | None = None,
    leak: str | None = None,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    html: Path | None = None,
    as_json: Annotated[bool, arg(name="json")] = False,
    fail_on: Literal["error", "warning", "never"] = "warning",
    allow_unread: bool = False,
    seed: int = 0,
    try_initializers: Annotated[UseAppendAction[tuple[str, ...]], arg(name="try")] = (),
    seeds: int = 5,
    at: tuple[str, ...] = (),
) -> int:
    """Diagnose the recurrent layers of a trained or freshly initialized model.

    Exit status: 0 clean, 1 findings at or above --fail-on, 2 the file cannot be read, 3 nothing was analysed, or
    something that looks recurrent was not read.

    Args:
        path: A file (.safetensors, .pt, .onnx, .keras, .h5, .npz, .npy) or folder, whose content is never executed;
            or package.module:factory, which is imported and called without arguments to get a PyTorch module.
        steps: The length your task needs, in time steps. For a module with --data the default is the length of its
            sequences. Otherwise the report answers for 64 steps, and no finding is about the length.
        data: For a file, inputs of shape (time, batch, features), .npy, to drive the layers with. For a module, its
            own inputs, .npy, or .npz with the arrays inputs and target, or with its arguments by name; without them
            only its weights are examined.
        tensor: Name of a tensor that is a recurrent weight, if the file does not say so; or all parts of its layer,
            recurrent=cell.U,input=cell.W,bias=cell.b (also recurrent_bias, projection; bias= for none). May be
            repeated.
        layout: The layout of --tensor: torch, keras, onnx or flax, each optionally with a cell (torch:lstm) or the
            order of its gates (keras:ifco); or an order alone (ifgo, zrn).
        leak: For a plain cell, the share of its new value by which a unit moves in a step: a number in (0, 1], or the
            name of a tensor.
        select: Codes of the findings to look for, or prefixes of codes.
        ignore: Codes of the findings to leave out, or prefixes of codes.
        html: Also write the report to this file, as one self-contained HTML page.
        as_json: Print JSON (versioned schema) instead of text.
        fail_on: The severity from which the exit status is 1.
        allow_unread: Let the exit status be 0 where nothing was analysed or something was not read.
        seed: Seed of inputs, probes and draws; also torch's seed while the module is created.
        try_initializers: For a module with --data, an initializer to try on copies of it, such as "orthogonal" or
            "orthogonal + chrono(max_steps=64)"; "remedies" stands for those that fit. May be repeated.
        seeds: Draws of each initializer that is tried, at least 5.
        at: For a module, names of square Linear submodules that a hand-written recurrence applies to its state.
    """
    model: Any = None
    if FACTORY.fullmatch(path) and not Path(path).exists():
        from unitcircle.cli._live import model_from

        # Called before any numerical library is loaded, because it sets how many threads they use.
        model = model_from(path, seed=seed)
    from unitcircle import checkpoints, diagnosis
    from unitcircle.cli._terminal import console
    from unitcircle.errors import ArgumentError

    options: Any = {"steps": steps, "at": at, "select": select, "ignore": ignore, "rng": seed}
    trials: Any = {"try_initializers": try_initializers, "seeds": seeds}
    if model is not None and data is not None:
        from unitcircle.cli._live import batch_from

        result = diagnosis.diagnose(model, batch_from(data, model), **trials, **options)
    elif model is not None:
        if try_initializers:
            remedy = "Pass --data batch.npz with the arrays inputs and target."
            raise ArgumentError("--data", "must be given for --try", "none", remedy)
        result = diagnosis.diagnose(model, **options)
    else:
        result = diagnosis.diagnose(
            checkpoints.read(path, tensors=tensor, layout=layout, leak=leak), data=_inputs(data), **trials, **options
        )
    page = result.to_html(html) if html else None
    if as_json:
        print(result.to_json())
    else:
        out = console()
        out.print(diagnosis.diagnosis_view(result))
        if page:
            out.print(f"\nreport: {page}")
    worst = result.worst
    if fail_on != "never" and worst is not None and worst >= diagnosis.Severity[fail_on.upper()]:
        return 1
    complete = result.layers and not (result.coverage and result.coverage.unread)
    return 0 if complete or allow_unread else UNREAD


def _inputs(path: Path | None) -> Any:
    import numpy as np

    from unitcircle.errors import ArgumentError

    if path is None:
        return None
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            return content["inputs"] if isinstance(content, np.lib.npyio.NpzFile) else content
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise ArgumentError(
            "--data", "must be a readable .npy file, or .npz with an array named inputs", f"{path} ({error})"
        ) from error
