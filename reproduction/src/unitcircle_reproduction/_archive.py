"""The committed records of studies: what a folder of studies lacks is taken from there, not trained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from unitcircle.experiments.studies import FIRST_TUNING_SEED
from unitcircle.report import written_whole
from unitcircle_reproduction import _parquet
from unitcircle_reproduction._parquet import ARRAYS, RUN, TRANSITION


def contents(path: Path | None = None, /) -> dict[PurePosixPath, bytes]:
    """Return the files of studies by name, such as ``full-9/STUDY/runs/KEY.json``; none where there is no file."""
    return {
        PurePosixPath(row["repetition"], row["contest"], row["file"]): row["arrays"] or row["record"].encode()
        for row in _parquet.read(path or _parquet.SHIPPED)
        if row["kind"] in {RUN, ARRAYS}
    }


def unpack(folder: Path, name: str, /) -> None:
    """Write what is committed of one study, or of one measurement, and a folder of studies lacks."""
    for file, content in contents().items():
        target = folder / file.relative_to(file.parts[0])
        if file.parts[:2] == (folder.name, name) and not target.exists():
            with written_whole(target) as opened:
                opened.write(content)


def pack(folders: Iterable[Path], path: Path, /, *, rows: Iterable[Mapping[str, Any]] = ()) -> None:
    """Add what is below folders such as ``out/studies/full-9``, and rows of transitions, to what a file holds."""
    known = {_key(row): row for row in _parquet.read(path)}
    for folder in folders:
        for file in (file for file in sorted(folder.rglob("*")) if file.suffix in {".json", ".npz"}):
            contest, *rest = file.relative_to(folder).parts
            row = {"repetition": folder.name, "contest": contest, "file": "/".join(rest)} | _measured(file)
            known[_key(row)] = row
    for row in rows:
        known.setdefault(_key(row), dict(row))
    _parquet.write(known.values(), path)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two rows of one measurement have in common."""
    if row["kind"] == TRANSITION:
        return (row["contest"], row["law"], row["seed"])
    return (row["repetition"], row["contest"], row["file"])


def _measured(file: Path) -> dict[str, Any]:
    """Return the columns of a file of arrays, or of a record."""
    if file.suffix == ".npz":
        return {"kind": ARRAYS, "arrays": file.read_bytes()}
    return _run(file.read_text(encoding="utf-8"))


def _run(text: str) -> dict[str, Any]:
    """Return the columns of a run from its record."""
    record: dict[str, Any] = json.loads(text)
    run, summary = record["run"], record["summary"]
    return {
        "kind": RUN,
        "task": run["task"],
        "cell": run["cell"],
        "law": run["recurrent"],
        "bias": run["bias"],
        "seed": run["seed"],
        "rate": run["learning_rate"],
        "chooses_rate": run["seed"] >= FIRST_TUNING_SEED,
        "status": record["status"],
        "message": record["message"],
        "score": summary.get("test_score"),
        "steps_to_threshold": summary.get("steps_to_threshold"),
        "record": text,
    }
