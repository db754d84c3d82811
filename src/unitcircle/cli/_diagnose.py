"""``unitcircle diagnose``: find every recurrent layer of files or a live model, measure it, report findings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zipfile import BadZipFile

from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from unitcircle.cli._fix_options import Fix
from unitcircle.cli._lint_options import Judgement, Output
from unitcircle.cli._terminal import console
from unitcircle.errors import ArgumentError, CheckpointError

if TYPE_CHECKING:
    from unitcircle.diagnosis import Diagnosis

FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def diagnose(
    paths: Positional[tuple[str, ...]],
    /,
    *,
    judgement: Annotated[Judgement, OmitArgPrefixes] = Judgement(),  # noqa: B008  (frozen)
    output: Annotated[Output, OmitArgPrefixes] = Output(),  # noqa: B008
    repair: Annotated[Fix, OmitArgPrefixes] = Fix(),  # noqa: B008
    data: Path | None = None,
    tensor: UseAppendAction[tuple[str, ...]] = (),
    layout: str | None = None,
    leak: str | None = None,
    html: Path | None = None,
    seed: int = 0,
    try_initializers: Annotated[UseAppendAction[tuple[str, ...]], arg(name="try")] = (),
    seeds: int = 5,
    at: tuple[str, ...] = (),
    jobs: int | None = None,
) -> int:
    """Diagnose the recurrent layers of trained or freshly initialized models.

    Exit status: 0 clean, 1 findings at or above --fail-on, 2 a file cannot be read, 3 nothing was analysed, or
    something that looks recurrent was not read.

    Args:
        paths: Files (.safetensors, .pt, .onnx, .keras, .h5, .npz, .npy and others), folders of one model or globs,
            whose content is never executed; or package.module:factory, which is imported and called without arguments
            to get a PyTorch module.
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
        html: Also write the report to this file, as one self-contained HTML page.
        seed: Seed of inputs, probes and draws; also torch's seed while the module is created.
        try_initializers: For a module with --data, an initializer to try on copies of it, such as "orthogonal" or
            "orthogonal + chrono(max_steps=64)"; "remedies" stands for those that fit. May be repeated.
        seeds: Draws of each initializer that is tried, at least 5.
        at: For a module, names of square Linear submodules that a hand-written recurrence applies to its state.
        jobs: Files that are read at the same time; by default the number of cores.
    """
    model: Any = None
    if len(paths) == 1 and FACTORY.fullmatch(paths[0]) and not Path(paths[0]).exists():
        from unitcircle.cli._live import model_from

        # Called before any numerical library is loaded, because it sets how many threads they use.
        model = model_from(paths[0], seed=seed)
    from unitcircle import checkpoints, diagnosis, linting

    options: dict[str, Any] = {"rng": seed, "at": at}
    trials: dict[str, Any] = {"try_initializers": try_initializers, "seeds": seeds}
    if try_initializers and model is not None and data is None:
        remedy = "Pass --data batch.npz with the arrays inputs and target."
        raise ArgumentError("--data", "must be given for --try", "none", remedy)

    def read(path: str | Path) -> checkpoints.Layers:
        return checkpoints.read(path, tensors=tensor, layout=layout, leak=leak)

    def examine(path: str, **judged: Any) -> Diagnosis:
        if model is None:
            return diagnosis.diagnose(read(path), data=_inputs(data), **trials, **options, **judged)
        if data is None:
            return diagnosis.diagnose(model, **options, **judged)
        from unitcircle.cli._live import batch_from

        return diagnosis.diagnose(model, batch_from(data, model), **trials, **options, **judged)

    settings = judgement.settings()
    names = list(paths) if model is not None else linting.expand(paths)
    if html is not None and len(names) > 1:
        raise ArgumentError("--html", "must be given with one file", f"{len(names)} files")
    if repair.wanted and len(names) > 1:
        raise ArgumentError("--fix", "must be given with one local file", f"{len(names)} files")
    if jobs is not None and jobs < 1:
        raise ArgumentError("--jobs", "must be 1 or more", f"{jobs}")
    written = {"--output-file": output.output_file, "--html": html, "-o": repair.fixed}
    written |= {"--baseline": settings.baseline} if judgement.write_baseline else {}
    _keep_apart([*names, data, judgement.config, None if judgement.write_baseline else settings.baseline], written)
    known = judgement.known(settings)
    report = linting.check(names, settings, baseline=known, examine=examine, jobs=jobs)
    alone = report.files[0] if len(names) == 1 else None
    if alone is not None and alone.error and (repair.wanted or output.form == "text"):
        raise CheckpointError(alone.error)
    if repair.wanted and alone is not None and alone.diagnosis is not None:
        # The output of a format is that format and nothing else.
        words = console(stderr=output.form != "text")
        fixed = repair.apply(names[0], alone.diagnosis, words, read, seed=seed)
        if fixed is None and output.form == "text":
            return report.status
        if fixed is not None:
            # What was written is judged as it was: whether the findings are gone is seen, not claimed.
            words.print(f"written: {fixed}\n")
            report = linting.check([str(fixed)], settings, baseline=known, examine=examine)
            alone = report.files[0]
    if judgement.write_baseline:
        return judgement.replace_baseline(report)
    output.write(report)
    if html is not None and alone is not None and alone.diagnosis is not None:
        page = alone.diagnosis.to_html(html)
        if output.form == "text":
            console().print(f"\nreport: {page}")
    return report.status


def _keep_apart(read: Iterable[str | Path | None], written: Mapping[str, Path | None]) -> None:
    """Refuse an output that would replace an input, or another output."""
    taken = {os.path.realpath(path): "which is read" for path in read if path is not None}
    for option, path in written.items():
        if path is None or (path.exists() and not path.is_file()):  # a device, a pipe; a folder is refused later
            continue
        place = os.path.realpath(path)
        if place in taken:
            raise ArgumentError(option, "must name a file of its own", f"{path}, {taken[place]}")
        taken[place] = f"which {option} names too"


def _inputs(path: Path | None) -> Any:
    import numpy as np

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
