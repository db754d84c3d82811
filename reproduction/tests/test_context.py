"""What a reproduction draws, keeps and runs again."""

import inspect

import numpy as np
import pytest

from unitcircle.errors import ArgumentError
from unitcircle.experiments.studies import Experiment, Study
from unitcircle_reproduction import Context
from unitcircle_reproduction.eigen import _studies as studies


def _study(**options):
    experiment = Experiment("tomita(grammar=4)", sizes=(4,), learning_rates=(0.1, 0.01), options={"steps": 2})
    return Study(
        "made-up",
        initializers={"Haar": "orthogonal", "eigen": "eigen"},
        experiments=(experiment,),
        twin=False,
        **options,
    )


def _runs(study):
    for experiment in study.experiments:
        for setting in experiment.settings():
            for label in study.labels_in(setting):
                yield from study.tuning_runs(experiment, setting, label)
                yield from study.reported_runs(setting, label, 0.1)


def test_two_seeds_of_a_reproduction_have_no_run_in_common(tmp_path):
    drawn = [{run.seed for run in _runs(Context(tmp_path, seed=seed).seeded(_study()))} for seed in (0, 1, 99)]
    assert [len(seeds) for seeds in drawn] == [13] * 3
    assert len(set().union(*drawn)) == 3 * 13


def test_what_is_drawn_directly_is_no_stream_of_a_run(tmp_path):
    direct = [Context(tmp_path, seed=seed).draws for seed in (0, 1, 99)]
    runs = [run.seed for seed in (0, 1, 99) for run in _runs(Context(tmp_path, seed=seed).seeded(_study()))]
    # NumPy pads short seeds with zeros: [1] and [1, 0] are one stream.
    streams = [[seed, *rest] for seed in {*direct, *runs} for rest in ([], [1], [64])]
    first = {tuple(np.random.default_rng(stream).standard_normal(4)) for stream in streams}
    assert len(set(direct)) == 3
    assert len(first) == len(streams)


def test_seed_0_runs_what_the_study_says(tmp_path):
    study = _study()
    assert [run.key for run in _runs(Context(tmp_path).seeded(study))] == [run.key for run in _runs(study)]


@pytest.mark.parametrize("full", [False, True])
def test_every_study_of_the_eigen_chapter_is_seeded(full, tmp_path):
    context = Context(tmp_path, full=full, seed=99)
    plain = [studies.plain, studies.regression, studies.structure, studies.rectified, studies.gated]
    made = [function(context) for function in plain] + studies.pixels(context) + studies.translation(context)
    assert {study.first_seed for study in made} == {990}
    returning = [
        name
        for name, f in inspect.getmembers(studies, inspect.isfunction)
        if f.__annotations__.get("return") in {"Study", "list[Study]"} and not name.startswith("_")
    ]
    assert set(returning) == {f.__name__ for f in plain} | {"pixels", "translation"}


def test_a_study_that_was_not_seeded_is_not_run(tmp_path):
    with pytest.raises(AssertionError, match="seeded"):
        Context(tmp_path, seed=3).study(_study())


def test_more_seeds_than_a_repetition_has_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="at most 10"):
        Context(tmp_path).seeded(_study(seeds=11))
    for seed in (-1, 100):
        with pytest.raises(ArgumentError, match="must be from 0 to 99"):
            Context(tmp_path, seed=seed)


def test_records_of_two_seeds_or_efforts_are_kept_apart(tmp_path):
    folders = {Context(tmp_path, full=full, seed=seed).studies for full in (False, True) for seed in (0, 1)}
    assert len(folders) == 4
    assert all(tmp_path in folder.parents for folder in folders)


def test_what_was_measured_is_not_measured_again(tmp_path):
    said, asked = [], []

    def measure():
        asked.append(1)
        return {"a": np.arange(3.0), "b": np.array(2)}

    context = Context(tmp_path, say=said.append)
    first, again = (context.kept("things", ("n", 3), measure) for _ in range(2))
    assert (len(asked), said) == (1, ["things: ('n', 3)"])
    for found in (first, again):
        np.testing.assert_array_equal(found["a"], np.arange(3.0))
        assert int(found["b"]) == 2
    context.kept("things", ("n", 4), measure)
    Context(tmp_path, seed=5).kept("things", ("n", 3), measure)
    assert len(asked) == 3


def test_a_measurement_that_fails_leaves_no_file(tmp_path):
    def broken():
        raise KeyboardInterrupt

    context = Context(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        context.kept("things", 1, broken)
    assert context.kept("things", 1, lambda: {"a": np.ones(1)})["a"] == 1
