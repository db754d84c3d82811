"""What can be repaired in the weights of a file without training, and the repaired copy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle._keywords import right_keywords
from unitcircle.checkpoints import Tensors, read, rewrite, tensors_of_file
from unitcircle.diagnosis import (
    LOST_DECAY,
    RULES,
    Diagnosis,
    Finding,
    LayerExamination,
    drawn_decay,
    initialized,
    merged_action,
)
from unitcircle.errors import CheckpointError
from unitcircle.initializers import Initializer, parse
from unitcircle.linting._stored_places import REMEDY, Part, Places, Reader, parts_of, stored_biases, stored_places
from unitcircle.recurrence import RecurrentLayer
from unitcircle.spectra import eigenvalues


@dataclass(frozen=True)
class Change:
    """What is repaired in one layer.

    Attributes
    ----------
    layer
        The layer's name.
    codes
        The codes of the findings that it repairs.
    action
        What is written, in words: ``"recurrent orthogonal"``.
    tensors
        The tensors that change.
    radii
        Gate → spectral radius before and after; empty for a linear recurrence.
    certificate
        What the new weights were checked to be; empty where nothing is promised.

    Examples
    --------
    >>> change = Change("rnn", ("UC104",), "recurrent orthogonal", ("weight_hh_l0",), radii={"h": (1.31, 1.0)})
    >>> print(change)
    rnn: recurrent orthogonal (UC104) in weight_hh_l0
      ρ of h: 1.310 -> 1.000
    """

    layer: str
    codes: tuple[str, ...]
    action: str
    tensors: tuple[str, ...]
    radii: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    certificate: str = ""

    def __str__(self) -> str:
        lines = [f"{self.layer}: {self.action} ({', '.join(self.codes)}) in {', '.join(self.tensors)}"]
        lines += [f"  ρ of {gate}: {before:.3f} -> {after:.3f}" for gate, (before, after) in self.radii.items()]
        lines += [f"  {line}" for line in self.certificate.splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True)
class Repair:
    """A plan: the new values of the tensors of a file.

    Attributes
    ----------
    path
        The file.
    values
        Name of a tensor → its new values.
    changes
        What is repaired, a layer each.
    left
        The findings that are not repaired, and why, one sentence each.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.diagnosis import diagnose
    >>> path = Path("examples/popular-lstm.safetensors")
    >>> repair = plan_repair(path, diagnose(path, steps=20, select=["UC101"]))
    >>> with TemporaryDirectory() as folder:
    ...     repaired = Path(folder, "repaired.safetensors")
    ...     repair.write(repaired)
    ...     diagnose(repaired, steps=20, select=["UC101"]).findings
    ()
    """

    path: Path
    values: Mapping[str, np.ndarray] = field(repr=False)
    changes: tuple[Change, ...]
    left: tuple[str, ...]

    def write(self, out: Path, /) -> None:
        """Write the repaired copy in the format of the file, with the changes in its metadata.

        Parameters
        ----------
        out
            Where to write; replaced only when the copy is complete.

        Raises
        ------
        CheckpointError
            The format is not one that is written.
        """
        rewrite(self.path, out, self.values, note=[vars(change) for change in self.changes])


@right_keywords
def plan_repair(
    path: Path,
    diagnosis: Diagnosis,
    /,
    *,
    unsafe: bool = False,
    trained: bool = False,
    rng: int = 0,
    reader: Reader = read,
) -> Repair:
    """Plan the repair of a file.

    Only what an initialization remedies is repaired, and only in layers that were not trained: recurrent weights and
    forget biases by the action of their findings, parameters of a decay by the law of their authors. The tensors of
    the file keep their layout and element type.

    Parameters
    ----------
    path
        The file.
    diagnosis
        Its diagnosis.
    unsafe
        Whether to repair by rules whose fix is a choice, and layers of which nothing shows whether they were trained.
    trained
        Whether to repair trained layers too, which loses what they have learned in these tensors.
    rng
        Seed of the draws.
    reader
        How the file was read, where a person said which tensors are a layer.

    Returns
    -------
    Repair
        The plan; ``values`` is empty where nothing can be repaired.

    Raises
    ------
    CheckpointError
        The format is not one that is written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from unitcircle.diagnosis import diagnose
    >>> path = Path("examples/popular-lstm.safetensors")
    >>> repair = plan_repair(path, diagnose(path, steps=20, select=["UC101"]))
    >>> [(change.layer, change.codes, change.action) for change in repair.changes]
    [('lstm', ('UC101',), 'recurrent orthogonal'), ('lstm l1', ('UC101',), 'recurrent orthogonal')]
    """
    generator = np.random.default_rng(rng)
    layers = {layer.layer.label: layer for layer in diagnosis.layers}
    chosen: dict[str, list[Finding]] = defaultdict(list)
    left: list[str] = []
    for finding in diagnosis.findings:
        reason = _obstacle(finding, layers.get(finding.place.layer), diagnosis, unsafe=unsafe, trained=trained)
        if reason:
            left.append(f"{finding.place}: {finding.code} is not repaired: {reason}")
        else:
            chosen[finding.place.layer].append(finding)
    if not chosen:
        return Repair(path, {}, (), tuple(left))
    places = stored_places(path, [layers[label].layer for label in chosen], reader=reader)
    stored = tensors_of_file(path)
    values: dict[str, np.ndarray] = {}
    changes: list[Change] = []
    for label, findings in chosen.items():
        new, words, init = _new_blocks(layers[label], findings, diagnosis, generator)
        touched = _write_blocks(new, places, label, stored, values)
        dtype = layers[label].layer.source.dtype
        weights = {gate: _Held(block, dtype) for (kind, gate), block in new.items() if kind == "recurrent"}
        radii = {
            gate: (float(layers[label].spectra[gate].radius), float(np.abs(eigenvalues(block)).max()))
            for gate, block in weights.items()
        }
        codes = tuple(dict.fromkeys(finding.code for finding in findings))
        changes.append(Change(label, codes, words, touched, radii, _certificate(init, weights)))
    return Repair(path, values, tuple(changes), tuple(left))


@dataclass(frozen=True)
class _Held:
    """A block as the file holds it, under its element type, which NumPy may lack: how exact a weight can be."""

    values: np.ndarray
    dtype: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)


def _obstacle(
    finding: Finding, layer: LayerExamination | None, diagnosis: Diagnosis, *, unsafe: bool, trained: bool
) -> str:
    """Return why a finding is not repaired, or an empty text."""
    safety = RULES[finding.code].fix
    if safety is None or layer is None or not (finding.action or finding.code == LOST_DECAY):
        return "no repair of the weights remedies it"
    state = diagnosis.examination.trained(layer)
    # A parameter with one value in all heads was not trained, whatever else is in the layer.
    known = state is False or finding.evidence.get("symptom") == "constant"
    obstacles = {
        "its repair is a choice (--unsafe-fixes)": safety == "unsafe" and not unsafe,
        "the layer holds entries that are not finite": not layer.finite,
        "the layer has a projection": layer.layer.projection is not None,
        f"the layer is trained: {layer.training.reason} (--fix-trained)": bool(state) and not trained,
        f"nothing shows that it is not trained: {layer.training.reason} (--unsafe-fixes)": not (
            known or state or unsafe or trained
        ),
    }
    return next((reason for reason, holds in obstacles.items() if holds), "")


def _new_blocks(
    layer: LayerExamination, findings: Sequence[Finding], diagnosis: Diagnosis, rng: np.random.Generator
) -> tuple[dict[Part, np.ndarray], str, Initializer | None]:
    """Return the new blocks of a layer, what they are in words, and the initializer of the recurrent ones."""
    blocks: dict[Part, np.ndarray] = {}
    words: list[str] = []
    action = merged_action(findings)
    if action:
        new = initialized(layer.layer, action, rng)
        blocks |= {part: block for part, block in parts_of(new) if part[0] == "recurrent" and "recurrent" in action}
        if "bias" in action:
            blocks |= _new_biases(layer.layer, new)
        words += [f"{part} {spec}" for part, spec in action.items()]
    for finding in (finding for finding in findings if finding.code == LOST_DECAY):
        values, stored, law = drawn_decay(diagnosis.layers, finding, rng)
        blocks["decay", finding.evidence["parameter"]] = values
        words.append(f"{stored} <- {law}")
    return blocks, "; ".join(words), parse(action["recurrent"]) if "recurrent" in action else None


def _certificate(init: Initializer | None, weights: Mapping[str, _Held]) -> str:
    """Return what the stored weights were checked to be, in the gate that is farthest from it."""
    if init is None or not weights:
        return ""
    checked = {gate: init.certificate(weight) for gate, weight in weights.items()}
    gate, worst = max(checked.items(), key=lambda item: item[1].residual)
    return f"{worst} in gate {gate}, the worst of {len(checked)}" if len(checked) > 1 else str(worst)


def _new_biases(before: RecurrentLayer, after: RecurrentLayer) -> dict[Part, np.ndarray]:
    """Return the biases as they are stored, whose sums are the new ones: where there are two, the second is zero."""
    blocks: dict[Part, np.ndarray] = {}
    for place, (part, biases) in enumerate(stored_biases(before).items()):
        for gate, bias in biases.items():
            total = after.biases.get(gate, np.zeros(np.shape(bias)))
            blocks[part, gate] = np.asarray(total, dtype=float) if place == 0 else np.zeros(np.shape(bias))
    return blocks


def _write_blocks(
    blocks: dict[Part, np.ndarray],
    places: Places,
    label: str,
    stored: Tensors,
    values: dict[str, np.ndarray],
) -> tuple[str, ...]:
    """Write blocks into the new values of their tensors, and take them as they are stored; return the tensors."""
    touched: dict[str, None] = {}
    for part, block in blocks.items():
        if part not in places.of[label]:
            message = f"{label}: its {' '.join(part)} is compressed or computed, and is not written; {REMEDY}"
            raise CheckpointError(message)
        tensors, indices = places.of[label][part]
        owners = {int(tensor): places.names[int(tensor)] for tensor in np.unique(tensors)}
        for name in owners.values():
            if name not in values:
                values[name] = np.array(stored[name], order="C")
        held = np.zeros(block.shape, np.result_type(*(values[name] for name in owners.values())))
        for tensor, name in owners.items():
            chosen = tensors == tensor
            held[chosen] = values[name].reshape(-1)[indices[chosen]] = stored.rounded(name, block[chosen])
            touched.update(dict.fromkeys(stored.aliases(name)))
        blocks[part] = held
    return tuple(touched)
