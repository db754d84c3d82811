"""The process of ``make fuzz`` that reads the damaged files of one format, and measures each."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from safetensors.numpy import save
from tests.checkpoints.mutations import mutated
from tests.checkpoints.seeds import FOLDERS, FORMATS, WEIGHTS

DIAGNOSED = 8
"""Of so many files that are read, one is diagnosed as well: that takes ten times as long."""
TOGETHER = 20
"""Files whose memory is measured together: asking for it takes half as long as reading one."""
TICK = os.sysconf("SC_CLK_TCK")


def files_of(kind, seed, *, content=None):
    """Return the damaged file of a seed, or the files of which one is damaged, by name."""
    content = content or (FOLDERS.get(kind) or FORMATS[kind])()
    if not isinstance(content, dict):
        return {"file": mutated(content, seed), "part.safetensors": save(WEIGHTS)}
    names = sorted(content)
    name = names[seed // 2 % len(names)]
    return content | {name: mutated(content[name], seed)}


def write(files, folder):
    """Write files, and return what is read: one of them, or the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return next((folder / name for name in ("file", "model.json") if name in files), folder)


def work(kind, seeds):
    """Print of each seed how many layers its file has, and what reading it took."""
    if Path("/dev/shm").is_dir():
        tempfile.tempdir = "/dev/shm"
    content = (FOLDERS.get(kind) or FORMATS[kind])()
    with tempfile.TemporaryDirectory() as folder, _IndexingProcess() as indexing:
        place = Path(folder) / "m"
        _read(write(content if isinstance(content, dict) else {"file": content}, place), diagnosed=True)
        for index, seed in enumerate(seeds):
            if isinstance(content, dict):
                shutil.rmtree(place)
            path = write(files_of(kind, seed, content=content), place)
            if index % TOGETHER == 0:
                memory = _Memory(indexing)
            start = time.process_time() + indexing.seconds()
            layers, error = _read(path, diagnosed=False)
            seconds = time.process_time() + indexing.seconds() - start
            diagnosed = layers and seed % DIAGNOSED == 0 and not error
            used = memory.taken() if index % TOGETHER == TOGETHER - 1 or diagnosed else 0
            if diagnosed:
                _, error = _read(path, diagnosed=True)
                memory = _Memory(indexing)  # what diagnosing takes is no cost of reading
            print(json.dumps([seed, layers, used, round(seconds, 4), error]), flush=True)


def _read(path, *, diagnosed):
    """Return how many layers a file has, or None if it is refused, and what is wrong with the answer."""
    from unitcircle.checkpoints import read
    from unitcircle.diagnosis import diagnose
    from unitcircle.errors import CheckpointError, UnitcircleError

    try:
        layers = read(path)
        if diagnosed:
            str(diagnose(layers, steps=8))
    except UnitcircleError as refusal:
        text = str(refusal).removeprefix(str(path))
        sound = isinstance(refusal, CheckpointError) or diagnosed
        return None, "" if sound and text.isprintable() and len(text) <= 300 else f"its message: {text!r:.200}"
    except BaseException as escaped:  # that is what is looked for
        return None, f"{type(escaped).__name__}: {escaped!s:.200}"
    said = [*layers.coverage.notes, *layers.coverage.unread, *(entry.reason for entry in layers.coverage.skipped)]
    bad = [text for text in said if not text.isprintable() or len(text) > 300]
    bad += [layer.name for layer in layers if not layer.name.isprintable()]
    return len(layers), f"what is said: {bad[0]!r:.200}" if bad else ""


class _IndexingProcess:
    """The process in which h5py indexes HDF5 files, kept for all files until one of them ends it."""

    def __enter__(self):
        from unitcircle.checkpoints import _hdf5

        class Kept(_hdf5.Hdf5Process):
            def __exit__(self, *args):
                pass

        self._kept = Kept()
        _hdf5.Hdf5Process = lambda: self._kept
        return self

    def __exit__(self, *args):
        self._kept._stop()

    @property
    def pid(self):
        return self._kept._process.pid if self._kept._process else 0

    def seconds(self):
        """Return the time of the process on the processor."""
        if not self.pid:
            return 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


class _Memory:
    """What is taken from now on: here, or by the process that indexes, unless a file ends it."""

    def __init__(self, indexing):
        self._indexing, self._pid = indexing, indexing.pid
        self._before = _resident("self"), _resident(self._pid) if self._pid else 0

    def taken(self):
        here, there = self._before
        same = self._pid and self._pid == self._indexing.pid
        return max(_peak("self") - here, _peak(self._pid) - there if same else 0)


def _resident(pid):
    """Return the memory of a process, from which its peak is counted anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _peak(pid)


def _peak(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))
