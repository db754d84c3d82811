"""The options of ``unitcircle diagnose`` that repair a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from unitcircle.errors import ArgumentError

if TYPE_CHECKING:
    from rich.console import Console

    from unitcircle.diagnosis import Diagnosis
    from unitcircle.recurrence import RecurrentLayer

    Reader = Callable[[Path], Iterable[RecurrentLayer]]


@dataclass(frozen=True)
class Fix:
    """Repair of weights that were not trained, in a copy of the file of the same format."""

    fix: bool = False
    """Repair what an initialization remedies: stacked or zeroed gates, forget biases, lost decay parameters."""
    fixed: Annotated[Path | None, arg(aliases=("-o",))] = None
    """Where the repaired copy goes. An existing file is not replaced."""
    in_place: bool = False
    """Let the repaired file replace the one that was read."""
    diff: bool = False
    """Print what would change, and write nothing."""
    unsafe_fixes: bool = False
    """Also repair where the repair is a choice, or nothing shows that a layer is not trained."""
    fix_trained: bool = False
    """Also repair trained layers, which lose what they have learned."""

    @property
    def wanted(self) -> bool:
        """Whether a repair is asked for; the options must fit each other."""
        if not (self.fix or self.diff):
            for name, value in (("-o", self.fixed), ("--in-place", self.in_place)):
                if value:
                    raise ArgumentError(name, "must be given with --fix", "neither --fix nor --diff")
            return False
        if self.diff:
            return True
        if (self.fixed is None) == (not self.in_place):
            arrived = "both" if self.in_place else "neither"
            raise ArgumentError("--fix", "must have one of -o FIXED and --in-place", arrived)
        if self.fixed is not None and self.fixed.exists():
            raise ArgumentError("-o", "must name a new file", f"{self.fixed}, which exists")
        return True

    def apply(self, path: str, diagnosis: Diagnosis, out: Console, reader: Reader, /, *, seed: int) -> Path | None:
        """Print the changes and write the repaired copy; return where it is, or None where nothing was written."""
        from unitcircle.cli._terminal import terminated_as_interrupted
        from unitcircle.linting import plan_repair

        if not Path(path).is_file():
            raise ArgumentError("--fix", "must be given with one local file", path)
        repair = plan_repair(
            Path(path), diagnosis, unsafe=self.unsafe_fixes, trained=self.fix_trained, rng=seed, reader=reader
        )
        for change in repair.changes:
            out.print(str(change), soft_wrap=True)
        for sentence in repair.left:
            out.print(sentence, soft_wrap=True)
        if not repair.values:
            out.print("nothing is repaired")
            return None
        if self.diff:
            return None
        target = Path(path) if self.in_place else self.fixed
        assert target is not None
        with terminated_as_interrupted():  # no half of a copy stays behind
            repair.write(target)
        return target
