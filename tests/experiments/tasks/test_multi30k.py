"""Translation: tokens without loss, batches that hold what they should, and BLEU as sacrebleu counts it."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
import torch

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import Multi30k, Task, Translation
from unitcircle.experiments.tasks._byte_pairs import DROPPED, END, PADDING, START, BytePairs

GERMAN = [
    "Ein Mann geht.",
    "Zwei Hunde rennen über die grüne Wiese .",
    "Straße <pad>  ohne\u00a0Ende…",
    "Ein Hund schläft.",
]
ENGLISH = ["A man walks.", "Two dogs run across the green meadow .", "<end> of  the road…", "A dog sleeps."]


@dataclass(frozen=True)
class Captions(Translation):
    """Four sentences, whatever is asked."""

    vocabulary: int = 300

    def sentences(self, part, /):
        return GERMAN, ENGLISH


def text(column):
    """The tokens of a column that stand for text."""
    return [int(token) for token in column if token > DROPPED]


def test_byte_pairs_lose_nothing_and_join_frequent_pairs():
    tokens = BytePairs(GERMAN * 3, 400)
    unseen = ["Ñandú 走 🙂", "", " ", "<start> \t x\r"]
    encoded = tokens.encode(GERMAN + unseen)
    for sequence, sentence in zip(encoded, GERMAN + unseen, strict=True):
        assert tokens.decode(sequence[:, None]) == [sentence]
    assert len(encoded[0]) < len(GERMAN[0]) / 2
    assert min(sequence.min() for sequence in encoded if len(sequence)) > DROPPED
    assert max(sequence.max() for sequence in encoded if len(sequence)) < 400


def test_byte_pairs_are_the_same_whenever_they_are_learned():
    once, again = (BytePairs(GERMAN + ENGLISH, 320).encode(GERMAN) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(once, again, strict=True))


def test_decoding_stops_at_the_end_and_leaves_out_what_is_no_text():
    tokens = BytePairs(GERMAN, 300)
    a, b = (int(token[0]) for token in tokens.encode(["a", "b"]))
    columns = np.array([[a, START, END], [END, a, a], [b, DROPPED, b], [b, b, b]])
    assert tokens.decode(columns) == ["a", "ab", ""]


@pytest.mark.parametrize("build", [lambda: BytePairs(GERMAN, 259), lambda: Multi30k(vocabulary=259)])
def test_a_vocabulary_that_cannot_hold_the_bytes_is_refused(build):
    with pytest.raises(ArgumentError, match="at least 260 tokens"):
        build()


def test_word_dropout_is_a_probability_below_one():
    with pytest.raises(ArgumentError, match="word_dropout"):
        Multi30k(word_dropout=1.0)


def test_a_batch_is_the_source_then_what_is_fed_one_step_behind_what_is_asked():
    task = Captions(word_dropout=0.0)
    (batch,) = task.held_out("validation")
    answers = len(batch.targets)
    source, fed = batch.inputs[:-answers], batch.inputs[-answers:]
    assert sorted(task.decode(source)) == sorted(GERMAN)
    where = [GERMAN.index(sentence) for sentence in task.decode(source)]
    assert task.decode(batch.targets) == [ENGLISH[i] for i in where]
    assert (fed[0] == START).all()
    for b in range(4):
        asked, shown = batch.targets[:, b], fed[:, b]
        length = len(text(asked))
        assert asked[length] == END
        assert (asked[length + 1 :] == PADDING).all()
        assert np.array_equal(shown[1 : length + 1], asked[:length])
        assert (shown[length + 1 :] == PADDING).all()
        assert np.array_equal(batch.weights[:, b], np.arange(answers) <= length)
        assert source[len(text(source[:, b])), b] == END
    # The longest sentence of either side decides its length: nothing is padded for nothing.
    assert (batch.targets[-1] == END).any()
    assert (source[-1] == END).any()


def test_training_batches_are_drawn_by_the_generator_alone():
    task = Captions()
    one, same, other = (task.sample(np.random.default_rng(seed), 8) for seed in (1, 1, 2))
    assert np.array_equal(one.inputs, same.inputs)
    assert np.array_equal(one.targets, same.targets)
    assert one.inputs.shape != other.inputs.shape or not np.array_equal(one.inputs, other.inputs)


def test_every_pair_is_as_likely_as_every_other():
    task, rng = Captions(word_dropout=0.0), np.random.default_rng(0)
    drawn = [sentence for _ in range(500) for sentence in task.decode(task.sample(rng, 4).targets)]
    counts = np.array([drawn.count(sentence) for sentence in ENGLISH])
    # Neighbours in a batch are alike in length, so a batch is one draw in the worst case: sd = sqrt(500 · 3/16) · 4.
    assert np.abs(counts - 500).max() < 4 * 4 * np.sqrt(500 * 3 / 16)


def test_a_batch_holds_sentences_of_like_length():
    task, rng = Captions(word_dropout=0.0), np.random.default_rng(0)
    padded = np.mean([(task.sample(rng, 4).targets == PADDING).mean() for _ in range(100)])
    (mixed,) = task.held_out("test")
    assert padded < (mixed.targets == PADDING).mean() / 2


def test_word_dropout_hides_the_stated_share_of_what_is_shown_and_nothing_of_what_is_asked():
    hidden, shown = 0, 0
    clear, dropping = Captions(word_dropout=0.0), Captions(word_dropout=0.3)
    for seed in range(40):
        whole, dropped = (task.sample(np.random.default_rng(seed), 16) for task in (clear, dropping))
        assert np.array_equal(whole.targets, dropped.targets)
        changed = whole.inputs != dropped.inputs
        assert (dropped.inputs[changed] == DROPPED).all()
        assert (whole.inputs[changed] > DROPPED).all()
        hidden, shown = hidden + changed.sum(), shown + (whole.inputs > DROPPED).sum()
    # Four standard deviations of a binomial share.
    assert abs(hidden / shown - 0.3) < 4 * np.sqrt(0.3 * 0.7 / shown)
    assert not any((batch.inputs == DROPPED).any() for batch in dropping.held_out("test"))


def test_bleu_is_sacrebleus_and_says_how_it_was_counted():
    task = Captions()
    hypotheses = ["A man walks .", "Two dogs are running over the green meadow.", "the end", "A dog sleeps."]
    expected = sacrebleu.corpus_bleu(hypotheses, [ENGLISH]).score
    assert 0 < expected < 100
    assert task.corpus_score(hypotheses, ENGLISH) == expected
    assert task.corpus_score(ENGLISH, ENGLISH) == pytest.approx(100)
    assert task.signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"


def test_loss_of_an_even_guess_is_the_logarithm_of_the_vocabulary():
    (batch,) = Captions().held_out("test")
    targets, weights = (torch.from_numpy(x)[None] for x in (batch.targets, batch.weights))
    loss = Captions().losses(torch.zeros(*targets.shape, 300), targets, weights)
    # Sums of some fifty terms in single precision, pairwise: 0.6 eps measured.
    assert loss.item() == pytest.approx(np.log(300), rel=8 * float(np.finfo(np.float32).eps))


def test_multi30k_is_found_by_name():
    task = Task.parse("multi30k(vocabulary=1000)")
    assert task == Multi30k(vocabulary=1000)
    assert Task.parse(str(task)) == task
    assert (task.inputs, task.outputs, task.architecture) == (1000, 1000, "encoder_decoder")


def test_files_that_are_not_the_published_ones_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "multi30k"
    folder.mkdir()
    for language in ("de", "en"):
        (folder / f"val.{language}.gz").write_bytes(gzip.compress(b"Ein Satz.\n", mtime=0))
    monkeypatch.setenv("UNITCIRCLE_DATA", str(tmp_path))
    with pytest.raises(ArgumentError, match="must be the published file"):
        Multi30k().sentences("validation")


def test_files_are_read_line_by_line(tmp_path, monkeypatch):
    folder = tmp_path / "multi30k"
    folder.mkdir()
    # Only a line feed ends a line: U+2028 and a carriage return within a caption do not.
    content = "Ein\u2028Satz.\n\nNoch\x85 einer\r.\n".encode()
    digests = {}
    for language in ("de", "en"):
        (folder / f"val.{language}.gz").write_bytes(gzip.compress(content, mtime=0))
        digests[f"val.{language}"] = hashlib.sha256((folder / f"val.{language}.gz").read_bytes()).hexdigest()
    monkeypatch.setenv("UNITCIRCLE_DATA", str(tmp_path))
    monkeypatch.setattr("unitcircle.experiments.tasks._multi30k._SHA256", digests)
    german, english = Multi30k().sentences("validation")
    assert Multi30k(folder=str(folder)).sentences("validation") == (german, english)
    assert german == english == ["Ein\u2028Satz.", "", "Noch\x85 einer\r."]


def test_the_published_files_have_the_published_sizes(monkeypatch):
    data = Path(__file__).parents[3].parent / "shared" / "data"
    if not (data / "multi30k").exists():
        pytest.skip("the folder of real data is not here")
    monkeypatch.setenv("UNITCIRCLE_DATA", str(data))
    task = Multi30k()
    parts = {part: task.sentences(part) for part in ("train", "validation", "test")}
    assert [len(german) for german, _ in parts.values()] == [29000, 1014, 1000]
    assert all(len(german) == len(english) for german, english in parts.values())
    assert parts["train"][0][0] == "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche."
    assert parts["train"][1][0] == "Two young, White males are outside near many bushes."
    references = [sentence for batch in task.held_out("test") for sentence in task.decode(batch.targets)]
    assert sorted(references) == sorted(parts["test"][1])
