"""Study files: what they say, and what they may not say."""

import json
import math
import sys

import pytest

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.experiments import comparison, engines, studies
from unitcircle.experiments.studies import Experiment, Store, Study, _feasibility, execute, shipped_studies, study_table
from unitcircle.experiments.tasks import _own_module
from unitcircle.experiments.training import train
from unitcircle.initializers import Initializer, Orthogonal

VALUES = {
    "name": "small",
    "initializers": {"Xavier": "xavier_normal", "Haar": "orthogonal + forget_bias(value=1)"},
    "experiment": [
        {"task": "adding(length=20)", "cells": ["lstm", "gru"], "sizes": [8, 16], "learning_rates": [0.1, 0.01]}
    ],
}


def _study(**changes):
    return Study.from_dict(VALUES | changes)


def _experiment(**changes):
    return _study(experiment=[VALUES["experiment"][0] | changes])


@pytest.mark.parametrize("name", shipped_studies())
def test_the_shipped_files_can_be_read(name):
    study = Study.load(name)
    assert study.name == name.removesuffix(".toml")
    assert study.description.strip()
    if study.name == "prediction":
        # Its verdict is over initializers, not between two of them.
        return
    if study.name != "forget-bias":
        # With the angles that the initializer has where none are asked for.
        assert Initializer.parse("eigen(modulus=0.95)") in map(Initializer.parse, study.initializers.values())
    assert study.seeds >= 10
    # Enough for a verdict: the smallest p-value there is, corrected for all rows, is below the level.
    assert (len(study.initializers) - 1) * 2 ** (1 - study.seeds) < 1 - study.confidence


def test_rows_are_the_initializers_and_the_reference_again():
    study = _study()
    assert study.labels == ("Xavier", "Haar", "Xavier (again)")
    assert _study(twin=False).labels == ("Xavier", "Haar")
    assert _study(reference="Haar").labels[-1] == "Haar (again)"


def test_tuning_and_reporting_share_no_seed():
    study = _study(seeds=4, tuning_seeds=2)
    (experiment,) = study.experiments
    settings = list(experiment.settings())
    assert len(settings) == 4
    tuning = study.tuning_runs(experiment, settings[0], "Haar")
    reported = study.reported_runs(settings[0], "Haar", 0.01)
    assert len(tuning) == 2 * 2
    assert len(reported) == 4
    assert not {run.seed for run in tuning} & {run.seed for run in reported}
    assert {run.learning_rate for run in tuning} == {0.1, 0.01}
    assert {run.learning_rate for run in reported} == {0.01}
    assert {run.bias for run in reported} == {"forget_bias(value=1.0)"}
    assert {run.cell for run in reported} == {"lstm(size=8)"}


def test_another_first_seed_is_a_repetition_with_fresh_draws():
    def runs(study):
        (experiment,) = study.experiments
        setting = next(experiment.settings())
        tuning, reported = study.tuning_runs(experiment, setting, "Haar"), study.reported_runs(setting, "Haar", 0.01)
        return [[run.seed for run in tuning[:2]], [run.seed for run in reported]]

    assert runs(_study(seeds=4, tuning_seeds=2)) == [[1000, 1001], [0, 1, 2, 3]]
    assert runs(_study(seeds=4, tuning_seeds=2, first_seed=4)) == [[1004, 1005], [4, 5, 6, 7]]
    assert runs(_study(seeds=1, tuning_seeds=2, first_seed=999)) == [[1999, 2000], [999]]


def test_one_rate_needs_no_tuning():
    study = _experiment(learning_rates=[0.01])
    (experiment,) = study.experiments
    assert study.tuning_runs(experiment, next(experiment.settings()), "Haar") == []


def test_the_twin_is_the_reference_with_other_draws():
    study = _study()
    setting = next(study.experiments[0].settings())
    twin, reference = (study.reported_runs(setting, label, 0.1)[0] for label in ("Xavier (again)", "Xavier"))
    assert (twin.twin, reference.twin) == (1, 0)
    assert twin.recurrent == reference.recurrent


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initializers": {}}, "initializers must hold at least one"),
        ({"initializers": {"x": "orthogonall"}}, "Did you mean 'orthogonal'"),
        ({"initializers": {"x": "orthogonal + identity"}}, "must name one recurrent weight, one bias, or both"),
        ({"experiment": []}, "experiment must be there"),
        ({"reference": "Kaiming"}, "reference must be one of"),
        ({"seeds": 0}, "seeds and tuning_seeds must be at least 1"),
        ({"first_seed": -1}, "first_seed must not be negative"),
        ({"first_seed": 998, "seeds": 3}, "first_seed \\+ seeds at most 1000"),
        ({"seeds": 1001}, "first_seed \\+ seeds at most 1000"),
        ({"confidence": 1.5}, "confidence must be between"),
        ({"seedz": 3}, "Did you mean 'seeds'"),
        ({"name": "../up"}, "name must be letters"),
        ({"name": 3}, "name must be a text; got 3"),
        ({"seeds": 1.5}, "seeds must be a whole number; got 1.5"),
        ({"twin": "no"}, "twin must be true or false"),
        ({"initializers": "orthogonal"}, "initializers must be a table or a list"),
        ({"initializers": {"x": 1}}, "initializers must be a table or a list"),
        ({"initializers": {"x": "orthogonal", "x (again)": "eigen"}}, "must not be labelled as the A/A row"),
        ({"initializers": ["orthogonal", "orthogonal"]}, "initializers must hold each entry once"),
        ({"experiment": {"task": "digits"}}, "must be an array of tables"),
    ],
)
def test_bad_studies_are_refused_in_words(changes, message):
    with pytest.raises(ArgumentError, match=message):
        _study(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "addition"}, "Did you mean 'adding'"),
        ({"cells": []}, "cells must hold at least one"),
        ({"rank_by": "luck"}, "rank_by must be one of"),
        ({"task": "multi30k", "rank_by": "steps"}, "a task without a threshold"),
        ({"stepz": 3}, "Did you mean 'steps'"),
        ({"learning_rates": [-1.0]}, "learning_rates must be positive and finite; got -1.0"),
        ({"learning_rates": [0.1, -1.0]}, "learning_rates must be positive and finite; got -1.0"),
        ({"learning_rates": [math.inf]}, "learning_rates must be positive and finite; got inf"),
        ({"input_scales": [1.0, math.nan]}, "input_scales must be finite; got nan"),
        ({"input_scales": [-math.inf]}, "input_scales must be finite; got -inf"),
        ({"measure_at": [0, 5000]}, "measure_at must hold steps from 0 to 1000, or -1 for the last; got 5000"),
        ({"measure_at": [-2]}, "measure_at must hold steps from 0 to 1000, or -1 for the last; got -2"),
        ({"soft_orthogonality": 0.1, "cells": ["strongly_typed"]}, "must be 0 for a cell without recurrent weights"),
        ({"soft_orthogonality": 0.1, "cells": ["stack(depth=1)"]}, "must be 0 for a cell without recurrent weights"),
        ({"omega": 0.1, "cells": ["stack"]}, r"omega must be 0 for .* got 0.1 for adding\(length=20\) with stack"),
        ({"norm_stabilizer": 0.1, "task": "multi30k"}, "norm_stabilizer must be 0 for a network without a single"),
        ({"cells": ["stack"], "task": "copying"}, "cells must be recurrent for copying"),
        ({"input": "eigen"}, r"input must be a law that the blocks \(8, 2\) of lstm can have; got eigen\("),
        ({"readout": "eigen"}, r"readout must be a law that the blocks \(1, 8\) of lstm can have; got eigen\("),
        ({"input": "chrono"}, "input must be a law of weights, not of biases; got chrono"),
        ({"bias": "orthogonal"}, r"bias must be a law that the blocks \(8,\) of lstm can have; got orthogonal\("),
        ({"learning_rates": 0.1}, "learning_rates must be a list, each item a number; got 0.1"),
        ({"learning_rates": [0.1, 0.1]}, "learning_rates must hold each entry once"),
        ({"cells": ["tanh", "tanh(size=64)"], "sizes": [64]}, "cells must hold each entry once"),
        ({"sizes": [8.0]}, "sizes must be a list, each item a whole number"),
        ({"cells": ["lstm(size=32)"]}, r"sizes must be the size that lstm\(size=32\) names; got \[8, 16\]"),
        ({"cells": ["lstm", "tanh"]}, "bias must be zeros or constant for tanh, which has no gates"),
        ({"task": "adding(length=ten)"}, "length must be a whole number; got 'ten'"),
        ({"steps": "many"}, "steps must be a whole number; got 'many'"),
        ({"steps": True}, "steps must be a whole number; got True"),
        ({"measure_at": 0}, "measure_at must be a list"),
        ({"clip": "none"}, "clip must be a number or none"),
        ({"device": "gpu"}, "device must be a torch device"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"weight_decay": -0.1}, "weight_decay must be finite and not negative"),
        ({"momentum": 0.9, "optimizer": "rmsprop"}, "momentum must be 0 for an optimizer other than sgd"),
    ],
)
def test_bad_experiments_are_refused_in_words(changes, message):
    with pytest.raises(ArgumentError, match=message):
        _experiment(**changes)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("low_rank(rank=100)", "must have at least 2 × 100 units"),
        ("sparse(density=0.001)", "must leave a cycle"),
        ("unitary_evolution", "it is complex"),
    ],
)
def test_laws_that_no_run_could_start_from_are_refused(text, reason):
    with pytest.raises(ArgumentError, match=r"initializers must be a law that the blocks \(8, 8\) of lstm can have"):
        _study(initializers={"x": text})
    with pytest.raises(ArgumentError, match=reason):
        _study(initializers={"x": text})
    # A cell that has no recurrent weight draws none.
    _study(initializers={"x": text}, experiment=[VALUES["experiment"][0] | {"cells": ["strongly_typed"]}])


def test_a_large_law_is_not_drawn(monkeypatch):
    drawn = []
    monkeypatch.setattr(Orthogonal, "_weight", lambda self, z: drawn.append(z.shape) or z)
    _feasibility._refusal.cache_clear()
    _study(initializers={"x": "orthogonal"}, experiment=[VALUES["experiment"][0] | {"sizes": [256, 512]}])
    assert drawn == [(256, 256)]


def test_delayed_digits_are_the_default():
    (experiment,) = _study(experiment=[{"cells": ["lstm"]}]).experiments
    assert experiment.task == "delayed_digits"


def test_a_file_must_be_there(tmp_path):
    with pytest.raises(ArgumentError, match=r"Shipped studies: .*quick\.toml"):
        Study.load("quick.json")
    with pytest.raises(ArgumentError, match=r"Shipped studies: .*quick\.toml"):
        Study.load(tmp_path / "none.toml")
    (tmp_path / "torn.toml").write_text("name = ")
    with pytest.raises(ArgumentError, match="must be a TOML file"):
        Study.load(tmp_path / "torn.toml")


def test_a_file_without_a_name_is_named_as_it_is_called(tmp_path):
    (tmp_path / "mine.toml").write_text('initializers = ["orthogonal"]\n[[experiment]]\ntask = "digits"\nclip = inf\n')
    study = Study.load(tmp_path / "mine.toml")
    assert study.name == "mine"
    # TOML has no null: an infinite norm is what turns clipping off.
    assert next(study.experiments[0].settings()).clip == math.inf


def test_a_folder_does_not_hide_a_shipped_study(tmp_path, monkeypatch):
    (tmp_path / "quick").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Study.load("quick").name == "quick"


def test_a_list_of_specifications_is_its_own_labels():
    assert dict(_study(initializers=["identity"]).initializers) == {"identity": "identity"}
    with pytest.raises(UnknownNameError):
        _study(initializers=["identityy"])


def test_a_cell_without_a_recurrent_weight_has_one_row_for_each_bias():
    given = {"a": "orthogonal", "b": "identity", "c": "orthogonal + forget_bias(value=1)", "d": "chrono(max_steps=9)"}
    study = _study(initializers=given, reference="b")
    labels = {}
    for cell in ("lstm", "strongly_typed", "unitary_evolution"):
        (setting,) = Experiment("adding(length=20)", (cell,), (8,)).settings()
        labels[cell] = study.labels_in(setting)
    assert labels["lstm"] == study.labels == ("a", "b", "c", "d", "b (again)")
    assert labels["strongly_typed"] == ("b", "c", "d")
    assert labels["unitary_evolution"] == ("b",)


def test_only_the_name_of_a_study_is_positional():
    experiments = (Experiment("adding(length=20)", sizes=(4,)),)
    study = Study("a", initializers={"x": "eigen"}, experiments=experiments, seeds=9, tuning_seeds=2)
    with pytest.warns(DeprecationWarning, match="Study takes initializers=, experiments=, reference=, seeds=, tuning_"):
        assert Study("a", {"x": "eigen"}, experiments, "x", 9, 2) == study


@pytest.mark.parametrize("name", ["TLS", "Dask", "EngineKind", "Here", "Local", "Slurm", "engine_kind", "compare"])
def test_names_that_left_for_a_package_of_their_own_work_with_a_warning(name):
    home = comparison if name == "compare" else engines
    with pytest.warns(DeprecationWarning, match=f"studies.{name} is now {home.__name__}.{name}"):
        assert getattr(studies, name) is getattr(home, name)


@pytest.mark.parametrize(("steps", "every", "used"), [(60, 100, 15), (40, 40, 10), (40, 10, 10), (7, 2, 1), (3, 9, 1)])
def test_a_run_is_evaluated_four_times_whatever_its_interval_is(steps, every, used):
    study = _experiment(task="adding(length=5)", steps=steps, evaluate_every=every, measure_at=[], batch_size=2)
    setting = next(study.experiments[0].settings())
    assert setting.evaluate_every == used
    (record,) = train(study.reported_runs(setting, "Haar", 0.01)[:1])
    assert len([step for step in record.curves["step"] if step > 0]) >= min(steps, 4)


OWN = """
from unitcircle.experiments.tasks import Adding

def build():
    return Adding(length=5)
"""


def test_a_finished_study_is_compared_where_the_users_module_is_not(tmp_path, monkeypatch):
    (tmp_path / "my_task_of_a_study.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    options = {"steps": 1, "batch_size": 2, "measure_at": [], "cells": ["tanh"], "sizes": [2]}
    table = options | {"task": "module(factory='my_task_of_a_study:build')", "learning_rates": [0.1, 0.01]}
    values = {"name": "own", "initializers": ["orthogonal", "identity"], "seeds": 2, "tuning_seeds": 1, "twin": False}
    file = tmp_path / "own.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    lines += ["[[experiment]]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())]
    file.write_text("\n".join(lines))
    study = Study.load(file)
    execute(study, tmp_path / "out" / "own", engine="here")

    def compared(study):
        return comparison.compare(study, Store(tmp_path / "out" / "own").get)

    before = compared(study)
    assert before.groups[0].task == "my_task_of_a_study:build"
    assert (before.present, before.missing) == (8, 0)

    (tmp_path / "my_task_of_a_study.py").unlink()
    monkeypatch.delitem(sys.modules, "my_task_of_a_study")
    _own_module._call.cache_clear()
    with pytest.raises(ArgumentError, match="must name a function that can be imported"):
        Study.load(file)
    again = Study.load(file, out=tmp_path / "out")
    assert repr(compared(again)) == repr(before)
    assert len(study_table(Store(tmp_path / "out" / "own").records(), study=again)) == 8
    # What is no description is as none.
    (tmp_path / "out" / "own" / "tasks.json").write_text('{"tasks": {"module": {"unit": 3}}}')
    with pytest.raises(ArgumentError, match="must name a function that can be imported"):
        Study.load(file, out=tmp_path / "out")


def test_a_task_is_called_by_its_title():
    study = _experiment(title="Long sums")
    group = comparison.compare(study, lambda run: None).groups[0]
    assert group.title == "Long sums, lstm(size=8)"
    assert _experiment(title="x").experiments[0].task == "adding(length=20)"
    # The key of a run does not depend on it.
    keys = [[run.key for run in each.experiments[0].settings()] for each in (study, _experiment())]
    assert keys[0] == keys[1]
    with pytest.raises(ArgumentError, match="title must be a text"):
        _experiment(title=3)


def test_what_a_file_calls_things_moves_no_cursor_and_forges_no_line():
    evil = "x\x1b[2J\u202e\n no findings"
    shown = "x\\x1b[2J\\u202e\\n no findings"
    adding = Experiment("adding(length=5)", title=evil)
    study = Study("s", initializers={"a": "zeros", evil: "zeros"}, experiments=(adding,), reference=evil)
    assert (study.labels, study.reference) == (("a", shown, f"{shown} (again)"), shown)
    assert list(study.titles.values()) == [shown]
    assert Study("s", initializers={"a": "zeros"}, experiments=(adding,), description=evil).description.isprintable()
    with pytest.raises(ArgumentError, match="must have labels that differ"):
        Study("s", initializers={evil: "zeros", shown: "zeros"}, experiments=(adding,))
