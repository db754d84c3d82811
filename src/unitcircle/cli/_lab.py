"""``unitcircle lab``: pages with sliders, served on this machine by marimo."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tyro.conf import Positional

from unitcircle.errors import ArgumentError, MissingExtraError


def lab(
    topic: Positional[str] = "all",
    /,
    *,
    port: int = 2718,
    headless: bool = False,
    export: Path | None = None,
    measure: bool = False,
) -> int:
    """Play with weights: sliders, pictures, and the lines of code that make them (extra lab).

    Args:
        topic: ensembles, activations, depth, powers, gates, file, or all.
        port: Where it is served, on this machine only.
        headless: Do not open a browser.
        export: Write each notebook as it is at first, an HTML file that needs no server, into this folder instead.
        measure: Print how long each view takes at n = 128 instead, processor time in milliseconds.
    """
    if find_spec("marimo") is None:
        raise MissingExtraError("the lab", "marimo", "lab")
    from unitcircle.lab import NOTEBOOKS, notebook

    topics = list(NOTEBOOKS) if topic == "all" else [topic]
    paths = [notebook(name) for name in topics]
    if not 0 < port < 65536:
        raise ArgumentError("--port", "must be between 1 and 65535", str(port))
    if measure:
        return _measure(paths)
    if export is not None:
        export.mkdir(parents=True, exist_ok=True)
        for path in paths:
            page = export / f"{path.stem}.html"
            command = [sys.executable, "-m", "marimo", "-q", "-y", "export", "html", "--no-include-code", str(path)]
            subprocess.run([*command, "-o", str(page), "--force"], check=True)
            print(f"written: {page}")
        return 0
    served = paths[0] if len(paths) == 1 else paths[0].parent
    command = [sys.executable, "-m", "marimo", "run", str(served), "--host", "127.0.0.1", "--port", str(port)]
    return subprocess.run([*command, *["--headless"] * headless], check=False).returncode


def _measure(paths: list[Path]) -> int:
    """Print the median of five redraws of every view, each with another draw."""
    import inspect
    import runpy
    from statistics import median

    from unitcircle.lab import view

    print("processor time of a redraw at n = 128, milliseconds (median of 5, after a first one)")
    for path in paths:
        content = runpy.run_path(str(path))
        known = inspect.signature(content["lines"]).parameters
        if "path" in known:
            continue  # the same views, of a file
        size = {"n": 128} if "seed" in known else {}
        for name in content["VIEWS"]:
            draws = [{"seed": seed} if "seed" in known else {} for seed in range(6)]
            times = [view(content["lines"](name, **size, **draw)).seconds for draw in draws][1:]
            print(f"{1e3 * median(times):6.0f}  {path.stem}: {name}")
    return 0
