"""Names that left ``unitcircle.report`` and ``unitcircle.experiments.studies``: they work for one more release."""

from importlib import import_module

import pytest

COMPARISON = (
    "Comparison Curve Group Interval Row plot_learning_curves plot_learning_rates plot_seeds plot_sweep "
    "study_figure study_page study_progress_view study_view"
)
MOVED = [
    ("unitcircle.report", "unitcircle.experiments.comparison", COMPARISON),
    ("unitcircle.report", "unitcircle.diagnosis", "diagnosis_page diagnosis_text diagnosis_view"),
    ("unitcircle.report", "unitcircle.dynamics", "plot_calibration"),
    ("unitcircle.report", "unitcircle.monitor", "read_run watch_page watch_view"),
    ("unitcircle.experiments.studies", "unitcircle.experiments.comparison", "compare"),
    (
        "unitcircle.experiments.studies",
        "unitcircle.experiments.engines",
        "TLS Dask EngineKind Here Local Slurm engine_kind",
    ),
]


@pytest.mark.parametrize(("old", "new", "name"), [(old, new, name) for old, new, ns in MOVED for name in ns.split()])
def test_a_moved_name_is_found_at_its_old_place_with_a_warning(old, new, name):
    with pytest.warns(DeprecationWarning, match=rf"{old}\.{name} is now {new}\.{name}$"):
        moved = getattr(import_module(old), name)
    assert moved is getattr(import_module(new), name)


def test_a_moved_and_renamed_name_gives_one_warning():
    with pytest.warns(
        DeprecationWarning, match=r"report\.Verdict is now unitcircle\.experiments\.comparison\.Standing$"
    ):
        moved = getattr(import_module("unitcircle.report"), "Verdict")  # noqa: B009  (a name that pyright does not know)
    assert moved is import_module("unitcircle.experiments.comparison").Standing


@pytest.mark.parametrize("old", ["unitcircle.report", "unitcircle.experiments.studies"])
def test_a_name_that_never_was_is_an_attribute_error(old):
    with pytest.raises(AttributeError, match=f"{old}'?( has no)? attribute '?plot_nothing"):
        _ = import_module(old).plot_nothing
