"""Tables of records: one row a run, one row an evaluation."""

import math

import pytest
from tests.study_records import EVALUATIONS, finder, noise, record, study

from unitcircle.experiments.studies import FIRST_TUNING_SEED, Store, curve_table, study_table
from unitcircle.experiments.training import Status


@pytest.fixture
def planned():
    return study({"A": "torch_default", "B": "orthogonal"}, seeds=2, experiment={"learning_rates": (3e-4, 1e-3)})


@pytest.fixture
def records(planned):
    def make(label, run):
        chosen = run.learning_rate == 1e-3
        if run.seed < FIRST_TUNING_SEED and not chosen:
            return None
        if label == "B" and run.seed == 1:
            return record(run, math.nan, status=Status.FAILED)
        return record(run, 0.5 + chosen + noise(label, run))

    return finder(planned, make)


def test_a_row_holds_configuration_summary_and_diagnostics(planned, records):
    table = study_table(records.values(), study=planned)
    assert len(table) == len(records) == 3 * (2 * 3 + 2)
    assert table["key"].is_unique
    first = table[(table["label"] == "B") & (table["seed"] == 0) & (table["learning_rate"] == 1e-3)].iloc[0]
    (run,) = (r.run for r in records.values() if r.run.key == first["key"])
    assert (first["recurrent"], first["task"], first["stage"]) == (run.recurrent, run.task, "reported")
    assert first["test_score"] == records[run.key].summary["test_score"]
    # The budget and what was done are two columns.
    assert (first["steps"], first["trained_steps"]) == (1000, 1000)
    assert (first["start.gradient.log_ratio"], first["end.gradient.log_ratio"]) == (-3, -1)
    assert first["environment.torch"] == "2.10"
    assert set(table["label"]) == {"A", "B", "A (again)"}
    assert (table["stage"] == "tuning").sum() == 3 * 2 * 3
    failed = table[table["status"] == "failed"]
    assert len(failed) == 1
    assert failed["test_score"].isna().all()


def test_a_study_tells_what_a_folder_holds_of_it(planned, records, tmp_path):
    store = Store(tmp_path)
    for each in records.values():
        store.write(each)
    assert study_table(Store(tmp_path).records(), study=planned).equals(study_table(records.values(), study=planned))


def test_the_table_does_not_depend_on_the_order_of_the_records(planned, records):
    forwards = study_table(records.values(), study=planned)
    assert forwards.equals(study_table(reversed(list(records.values())), study=planned))


def test_without_a_study_there_is_no_label_and_nothing_is_left_out(records):
    table = study_table(records.values())
    assert "label" not in table
    assert len(table) == len(records)


def test_runs_of_another_study_are_left_out(records):
    other = study({"A": "torch_default"}, seeds=2, twin=False, experiment={"learning_rates": (3e-4, 1e-3)})
    assert set(study_table(records.values(), study=other)["label"]) == {"A"}


def test_two_labels_of_one_specification_share_their_runs():
    planned = study({"A": "torch_default", "same": "torch_default"}, seeds=2, twin=False)
    records = finder(planned, lambda label, run: record(run, 0.5))
    assert len(records) == 2
    assert sorted(study_table(records.values(), study=planned)["label"]) == ["A", "A", "same", "same"]


def test_curves_have_a_row_an_evaluation(planned, records):
    table = curve_table(records.values(), study=planned)
    ended = [r for r in records.values() if r.status is not Status.FAILED]
    assert len(table) == EVALUATIONS * len(ended)
    one = table[table["key"] == ended[0].run.key]
    assert one["step"].tolist() == ended[0].curves["step"]
    assert one["radius[h]"].tolist() == [1.0] * EVALUATIONS
    assert set(table["label"]) == {"A", "B", "A (again)"}
    assert "label" not in curve_table(records.values())


def test_no_record_gives_an_empty_table(planned):
    assert len(study_table([], study=planned)) == 0


def test_reported_runs_at_a_rate_that_is_no_longer_chosen_are_left_out(planned):
    # An earlier version of the study, with other tuning seeds, had reported the other rate.
    def make(label, run):
        return record(run, 0.9 if run.learning_rate == 1e-3 else 0.5)

    table = study_table(finder(planned, make).values(), study=planned)
    reported = table[table["stage"] == "reported"]
    assert set(reported["learning_rate"]) == {1e-3}
    assert len(reported) == 3 * 2
