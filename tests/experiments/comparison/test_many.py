"""Hundreds of initializers in one group stay readable."""

from tests.study_records import finder, record, study

from unitcircle.experiments.comparison import compare, plot_seeds, study_sentences

LABELS = {f"init {k}": f"eigen(modulus={0.5 + k / 100})" for k in range(60)}


def test_of_many_rows_some_are_labelled_and_listed():
    many = study(LABELS, seeds=6, twin=False)
    records = finder(many, lambda label, run: record(run, 0.5 + run.seed / 100 + 0.001 * int(label.split()[1])))
    comparison = compare(many, lambda run: records.get(run.key))
    (group,) = comparison.groups
    ax = plot_seeds(group)
    assert [len(dots.get_offsets()) for dots in ax.collections] == [6] * 60
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == [row.label for row in group.rows[::3]]
    assert any(sentence.endswith("; 35 more, in the table.") for sentence in study_sentences(group, comparison))
