"""The encoder-decoder: attention against a naive loop, padding, stacks of runs, and a toy language that it learns."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from unitcircle.errors import ArgumentError
from unitcircle.experiments.engines import Here
from unitcircle.experiments.models import EncoderDecoder, Role, Tanh, TrainableCell
from unitcircle.experiments.studies import Experiment, Store, Study, execute
from unitcircle.experiments.tasks import Translation
from unitcircle.experiments.training import Run, train
from unitcircle.initializers import Orthogonal, XavierNormal

PADDING, START, END = 0, 1, 2
SIZE, WORDS = 6, 11


def drawn(network, *, runs=1, seed=0, dtype=torch.float64):
    """Gaussian values, each run by itself."""
    generators = [torch.Generator().manual_seed(seed + r) for r in range(runs)]
    return {
        name: torch.stack([0.5 * torch.randn(p.shape, generator=g, dtype=dtype) for g in generators])
        for name, p in network.parameters().items()
    }


def sequences(sources, fed):
    """Sources with an end and padding, then start and what is fed with padding: ``(1, T, B)``."""
    columns = []
    for source, words in zip(sources, fed, strict=True):
        reach, answers = max(map(len, sources)) + 1, max(map(len, fed)) + 1
        column = [*source, END] + [PADDING] * (reach - len(source) - 1)
        columns.append([*column, START, *words] + [PADDING] * (answers - len(words) - 1))
    return torch.tensor(columns).T[None]


SOURCES = [[4, 5, 6, 7], [8, 9], [10]]
FED = [[5, 6], [7, 8, 9], [4]]


def naive(values, source, fed, *, layers):
    """Logits of one sequence of one run, in loops, from the definition."""
    p = {name: value[0].numpy() for name, value in values.items()}

    def states(side, inputs):
        for layer in range(layers):
            W, U, b = (p[f"{side}.{layer}.{name}"] for name in ("recurrent", "input", "bias"))
            h, found = np.zeros(SIZE), []
            for x in inputs:
                h = np.tanh(W @ h + U @ x + b)
                found.append(h)
            inputs = found
        return inputs

    s = states("encoder", [p["source.weight"][token] for token in [*source, END]])
    h = states("decoder", [np.concatenate([p["target.weight"][token], s[-1]]) for token in [START, *fed]])
    logits = []
    for h_t in h:
        scores = np.array([h_t @ p["attention.weight"] @ s_j for s_j in s])
        shares = np.exp(scores) / np.exp(scores).sum()
        context = sum(share * s_j for share, s_j in zip(shares, s, strict=True))
        combined = np.tanh(p["combination.weight"] @ np.concatenate([context, h_t]))
        logits.append(p["readout.weight"] @ combined + p["readout.bias"])
    return np.array(logits)


@pytest.mark.parametrize("layers", [1, 2])
def test_logits_equal_the_definition_in_loops_and_padding_has_no_influence(layers):
    network = EncoderDecoder(Tanh(size=SIZE), WORDS, WORDS, layers=layers)
    values = drawn(network)
    logits = network.outputs_of(values, sequences(SOURCES, FED))
    assert logits.shape == (1, 4, 3, WORDS)
    for b, (source, fed) in enumerate(zip(SOURCES, FED, strict=True)):
        expected = naive(values, source, fed, layers=layers)
        # The longest sums have 2n terms of order one, through some ten steps.
        tolerance = 100 * SIZE * np.finfo(float).eps
        assert np.abs(logits[0, : len(expected), b].numpy() - expected).max() < tolerance


def test_gradients_reach_every_parameter_and_none_comes_from_padding():
    network = EncoderDecoder(Tanh(size=SIZE), WORDS, WORDS, layers=2)
    values = {name: value.requires_grad_() for name, value in drawn(network).items()}
    logits = network.outputs_of(values, sequences(SOURCES, FED))
    asked = [logits[0, : len(fed) + 1, b] for b, fed in enumerate(FED)]
    torch.cat(asked).square().sum().backward()
    for name, value in values.items():
        assert torch.isfinite(value.grad).all(), name
        assert value.grad.abs().max() > 0, name
    assert (values["source.weight"].grad[0, PADDING] == 0).all()
    assert (values["target.weight"].grad[0, PADDING] == 0).all()


CELLS = ["tanh", "relu", "leaky", "lstm", "gru", "orthogonal", "strongly_typed", "unitary_evolution"]


def asked_for(logits):
    """The logits of the answers that are asked for, of every run."""
    return torch.cat([logits[:, : len(fed) + 1, b] for b, fed in enumerate(FED)], 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CELLS)
def test_a_run_has_the_same_bits_in_any_company(name, dtype):
    network = EncoderDecoder(TrainableCell.parse(f"{name}(size={SIZE})"), WORDS, WORDS, layers=2)
    values = {key: value.requires_grad_() for key, value in drawn(network, runs=3, dtype=dtype).items()}
    own = torch.cat([sequences(SOURCES, FED).roll(r, 2) for r in range(3)])
    logits, answers = network.outputs_of(values, own), network.translate(values, own, steps=7)
    gradients = torch.autograd.grad(asked_for(logits).square().sum(), list(values.values()), allow_unused=True)
    for r in range(3):
        alone = {key: value.detach()[r : r + 1].clone().requires_grad_() for key, value in values.items()}
        single = network.outputs_of(alone, own[r : r + 1])
        assert torch.equal(single[0], logits[r])
        found = torch.autograd.grad(asked_for(single).square().sum(), list(alone.values()), allow_unused=True)
        for g, expected, key in zip(found, gradients, values, strict=True):
            assert (g is None) == (expected is None), key
            assert g is None or torch.equal(g[0], expected[r]), key
        answer = network.translate(alone, own[r : r + 1], steps=7)[0]
        assert torch.equal(answer, answers[r, : len(answer)])
        assert (answers[r, len(answer) :] == PADDING).all()


@pytest.mark.parametrize("name", CELLS)
def test_a_translation_is_the_likeliest_token_after_the_tokens_before_it(name):
    network = EncoderDecoder(TrainableCell.parse(f"{name}(size={SIZE})"), WORDS, WORDS, layers=2)
    ended = 0
    for seed in range(8):
        values = drawn(network, seed=seed)
        values["readout.bias"][:, END] += 1
        given = sequences(SOURCES, FED)
        answer = network.translate(values, given, steps=9)
        fed = torch.cat([torch.full_like(answer[:, :1], START), answer[:, :-1]], 1)
        source = given[:, : max(map(len, SOURCES)) + 1]
        likeliest = network.outputs_of(values, torch.cat([source, fed], 1)).argmax(-1)
        before = (answer == END).cumsum(1) - (answer == END).long()
        assert torch.equal(answer[before == 0], likeliest[before == 0])
        assert (answer[before > 0] == PADDING).all()
        assert torch.equal(network.translate(values, source, steps=9), answer)
        ended += int((answer == END).any(1).sum())
    assert 0 < ended < 24  # Both kinds occur: answers that end, and answers that are cut.


def test_the_longest_answer_is_twice_the_source_and_ten():
    network = EncoderDecoder(Tanh(size=SIZE), WORDS, WORDS)
    values = drawn(network)
    values["readout.bias"][:, END] -= 100
    assert network.translate(values, sequences(SOURCES, FED)).shape == (1, 2 * 5 + 10, 3)


def test_each_recurrent_block_has_its_role_and_its_gate():
    network = EncoderDecoder(Tanh(size=SIZE), 7, WORDS, layers=2)
    parameters = network.parameters()
    recurrent = [name for name, p in parameters.items() if p.role is Role.RECURRENT]
    places = ["encoder.0", "encoder.1", "decoder.0", "decoder.1"]
    assert recurrent == [f"{place}.recurrent" for place in places]
    assert parameters["decoder.0.input"].shape == (SIZE, 2 * SIZE)
    assert parameters["source.weight"].shape == (7, SIZE)
    values = drawn(network, runs=2)
    weights = network.recurrent_weights(values)
    assert list(weights) == [f"{place}.h" for place in places]
    assert all(torch.equal(weights[f"{place}.h"], values[f"{place}.recurrent"]) for place in places)


def test_misuse_is_refused():
    with pytest.raises(ArgumentError, match="layers"):
        EncoderDecoder(Tanh(size=SIZE), 5, 5, layers=0)

    @dataclass(frozen=True)
    class Stack(Tanh):
        recurrent = False

    Stack.name = "stack"
    with pytest.raises(ArgumentError, match="must be recurrent"):
        EncoderDecoder(Stack(size=SIZE), 5, 5)


NUMBERS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five", "sechs": "six"}


@dataclass(frozen=True)
class Countdown(Translation):
    """German numbers into English ones, from the last to the first."""

    name = "countdown_for_tests"

    vocabulary: int = 400  # Room for a token a word.

    def sentences(self, part, /):
        rng = np.random.default_rng(("train", "validation", "test").index(part))
        german = [
            " ".join(rng.choice(list(NUMBERS), rng.integers(2, 5))) + "."
            for _ in range(2000 if part == "train" else 250)
        ]
        return german, [" ".join(NUMBERS[word] for word in reversed(s[:-1].split())) + "." for s in german]


def test_a_toy_language_is_learned():
    task = Countdown(word_dropout=0.0)
    network = EncoderDecoder(Tanh(size=64), task.inputs, task.outputs)
    values = {}
    for name, value in drawn(network, dtype=torch.float32).items():
        law = Orthogonal() if name.endswith("recurrent") else XavierNormal()
        start = value if name in {"source.weight", "target.weight"} else law(2 * value)
        values[name] = (torch.zeros_like(value) if "bias" in name else start).requires_grad_()
    optimizer = torch.optim.Adam(values.values(), lr=3e-3, fused=True)
    data = np.random.default_rng(7)
    for _ in range(500):
        batch = task.sample(data, 32)
        inputs, targets, weights = (torch.from_numpy(x)[None] for x in (batch.inputs, batch.targets, batch.weights))
        optimizer.zero_grad()
        task.losses(network.outputs_of(values, inputs), targets, weights).sum().backward()
        optimizer.step()
    hypotheses, references = [], []
    for batch in task.held_out("test"):
        hypotheses += task.decode(network.translate(values, torch.from_numpy(batch.inputs)[None])[0].numpy())
        references += task.decode(batch.targets)
    assert task.corpus_score(hypotheses, references) > 90


def test_runs_whose_batches_differ_in_length_are_trained_one_by_one(tmp_path):
    options = {"steps": 3, "evaluate_every": 3, "batch_size": 4, "measure_at": ()}
    experiment = Experiment("countdown_for_tests", sizes=(8,), learning_rates=(1e-3,), options=options)
    study = Study(
        "countdown",
        initializers={"Haar": "orthogonal"},
        experiments=(experiment,),
        seeds=3,
        tuning_seeds=1,
        twin=False,
    )
    events = []
    outcome = execute(study, tmp_path, engine=Here(), on_event=events.append)
    assert (outcome.ended, outcome.failed) == (3, 0)
    assert {event.kind for event in events}.isdisjoint({"lost", "failed"})
    assert {record.environment["stack"] for record in Store(tmp_path).records()} == {1}
    runs = [Run("countdown_for_tests", "tanh(size=8)", "orthogonal", seed=seed, **options) for seed in (0, 1)]
    with pytest.raises(ArgumentError, match="must be trained one by one"):
        train(runs)
