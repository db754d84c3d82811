"""Stacked training against a plain loop, and against itself alone."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from tests.experiments.tasks.test_multi30k import Captions
from tests.oracles.training import plain_losses
from torch import nn

from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import LSTM, Network, TrainableCell
from unitcircle.experiments.tasks import Batch, Task
from unitcircle.experiments.training import Record, Run, Status, initial_parameters, train
from unitcircle.experiments.training._evaluation import evaluate, held_out_data
from unitcircle.experiments.training._train import _DATA_STREAM, _clip, _Stack
from unitcircle.report import to_json


@dataclass(frozen=True)
class Parity(Task):
    """The sign of the sum of a short random sequence: a task of the tests."""

    name = "sign_of_sum_for_tests"
    inputs = 1
    outputs = 2

    length: int = 12
    threshold: float = 0.9

    def sample(self, rng, size, /):
        x = rng.standard_normal((self.length, size, 1)).astype(np.float32)
        return Batch(x, (x.sum((0, 2)) > 0).astype(np.int64))

    def held_out(self, split, /):
        yield self.sample(np.random.default_rng(["validation", "test"].index(split)), 300)


TASK = "sign_of_sum_for_tests"
EPS, EPS32 = (float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32))


def _run(**options):
    return Run(TASK, "tanh(size=16)", **{"recurrent": "orthogonal", "steps": 30, "evaluate_every": 10} | options)


def _losses(runs):
    stack = _Stack(runs)
    return np.array([stack._step().double().numpy() for _ in range(runs[0].steps)])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("cell", ["tanh", "relu"])
def test_losses_are_those_of_a_plain_loop_over_a_torch_layer(optimizer, cell):
    run = _run(optimizer=optimizer, weight_decay=0.01, momentum=0.9, precision="float64")
    run = replace(run, cell=f"{cell}(size=16)")
    stack = _Stack([run])
    start = {name: value.detach().clone()[0] for name, value in stack.parameters.items()}
    ours = np.array([float(stack._step()) for _ in range(run.steps)])
    # Thirty steps multiply the rounding of the first.
    assert ours == pytest.approx(plain_losses(run, start), rel=4e6 * EPS)


def test_losses_in_single_precision_are_those_of_the_plain_loop_to_rounding():
    run = _run(steps=20)
    start = {name: value.detach().clone()[0] for name, value in _Stack([run]).parameters.items()}
    # Rounding grows from step to step by the dynamics of training itself.
    assert _losses([run])[:, 0] == pytest.approx(plain_losses(run, start), rel=1e4 * float(np.finfo(np.float32).eps))


def test_a_run_gives_the_same_bits_alone_and_in_company():
    runs = [_run(recurrent=init, seed=seed) for seed in range(3) for init in ("orthogonal", "torch_default")]
    together = train(runs)
    for record in (together[0], together[3], together[5]):
        (alone,) = train([record.run])
        assert alone.summary == record.summary
        assert alone.curves.keys() == record.curves.keys()
        for name, curve in alone.curves.items():
            np.testing.assert_array_equal(curve, record.curves[name], err_msg=name)


@pytest.mark.parametrize("readout", ["xavier_normal", "zeros"])
def test_runs_of_a_fused_cell_go_one_by_one_and_have_the_bits_of_all_together(monkeypatch, readout):
    run = replace(_run(steps=3, soft_orthogonality=0.01, readout=readout), cell="lstm(size=12)")
    runs, seen = [replace(run, seed=seed) for seed in range(3)], []
    outputs_of = Network.outputs_of

    def counted(network, parameters, inputs):
        seen.append(len(inputs))
        return outputs_of(network, parameters, inputs)

    monkeypatch.setattr(Network, "outputs_of", counted)
    apart = _Stack(runs)
    one_by_one = [apart._step().numpy() for _ in range(3)]
    assert seen == 9 * [1]
    monkeypatch.setattr(LSTM, "is_faster_alone", lambda *_: False)
    together = _Stack(runs)
    np.testing.assert_array_equal(one_by_one, [together._step().numpy() for _ in range(3)])
    assert seen[9:] == 3 * [3]
    for name, value in together.parameters.items():
        assert torch.equal(apart.parameters[name], value), name


@pytest.mark.parametrize("options", [{"precision": "float64"}, {"omega": 1.0}, {"norm_stabilizer": 1.0}])
def test_runs_go_together_where_no_fused_cell_computes_them(options):
    assert not _Stack([replace(_run(**options), cell="lstm(size=4)")]).alone


def test_losses_of_lstms_are_those_of_a_plain_loop_over_the_layer_of_torch():
    run = replace(_run(steps=5, optimizer="sgd"), cell="lstm(size=8)")
    runs = [replace(run, seed=seed) for seed in (0, 1)]
    stack = _Stack(runs)
    rngs = [np.random.default_rng([_DATA_STREAM, run.seed]) for run in runs]
    layers = []
    for r in range(2):
        start = {name: value.detach().clone()[r] for name, value in stack.parameters.items()}
        layer, readout = nn.LSTM(1, 8), nn.Linear(8, 2)
        ours = ("cell.input", "cell.recurrent", "cell.bias", "readout.weight", "readout.bias")
        theirs = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, readout.weight, readout.bias)
        with torch.no_grad():
            layer.bias_hh_l0.zero_()
            for name, parameter in zip(ours, theirs, strict=True):
                parameter.copy_(start[name])
        layer.bias_hh_l0.requires_grad_(False)
        layers.append((layer, readout, torch.optim.SGD(theirs, run.learning_rate)))
    for _ in range(5):
        losses = stack._step()
        for r, (layer, readout, optimizer) in enumerate(layers):
            batch = stack.task.sample(rngs[r], run.batch_size)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(
                readout(layer(torch.from_numpy(batch.inputs))[0][-1]), torch.from_numpy(batch.targets)
            )
            loss.backward()
            nn.utils.clip_grad_norm_([*layer.parameters(), *readout.parameters()], run.clip)
            optimizer.step()
            assert float(losses[r]) == pytest.approx(float(loss.detach()), rel=1e3 * EPS32)


def test_training_twice_gives_the_same_and_another_seed_another():
    first, again, other = (train([run])[0].summary for run in (_run(), _run(), _run(seed=1)))
    assert first == again
    assert first["final_train_loss"] != other["final_train_loss"]


def test_the_task_is_learned():
    (record,) = train([_run(steps=400, learning_rate=3e-3, evaluate_every=100)])
    assert record.status is Status.FINISHED
    assert record.summary["test_score"] > 0.9
    assert record.summary["solved"] == 1.0
    assert record.summary["steps_to_threshold"] in record.curves["step"]


def test_a_diverged_run_is_a_result_and_leaves_its_neighbours_alone():
    # A linear recurrence of radius 30 over 12 steps overflows single precision within a few large steps.
    wild = _run(recurrent="orthogonal(gain=30000)", clip=None, optimizer="sgd", learning_rate=1e6)
    wild, calm = (replace(run, cell="linear(size=16)") for run in (wild, replace(wild, recurrent="zeros")))
    calm = replace(calm, seed=1)
    lost, kept = train([wild, calm])
    assert lost.status is Status.DIVERGED
    assert lost.summary["steps"] <= 20
    assert math.isnan(lost.summary["final_test_score"])
    assert lost.message == "the loss overflowed at step 1"
    assert kept.summary == train([calm])[0].summary


def test_a_run_whose_gradient_overflows_first_says_so():
    # States of 1e-20 · 5000¹² are finite in single precision; the gradient of the inputs, of 5000¹¹, is not.
    run = replace(_run(recurrent="orthogonal(gain=5000)", input_scale=1e-20, steps=40), cell="linear(size=16)")
    # Between two evaluations, at one, and after the last step.
    for options in ({"evaluate_every": 40}, {"evaluate_every": 1}, {"steps": 1}):
        (lost,) = train([replace(run, **options)])
        assert lost.message == "the gradient of a finite loss overflowed at step 1"


def test_a_run_stops_where_the_threshold_has_held_for_its_patience():
    (record,) = train([_run(steps=2000, learning_rate=3e-3, evaluate_every=50, patience=2)])
    scores = np.array(record.curves["validation_score"])
    assert record.summary["steps"] < 2000
    held = scores >= 0.9
    # Two evaluations in succession, and not one more.
    assert (held[1:] & held[:-1]).argmax() + 2 == len(scores)
    assert record.curves["step"][-1] == record.summary["steps"]


def _same(alone, record):
    """Whether two records hold the same bits, times and environment apart."""
    assert alone.run == record.run
    assert alone.status is record.status
    for part in ("summary", "curves", "diagnostics"):
        assert to_json({part: getattr(alone, part)}) == to_json({part: getattr(record, part)})


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_runs_that_have_ended_leave_and_the_others_do_not_notice(optimizer, monkeypatch):
    options = {"steps": 300, "evaluate_every": 10, "patience": 1, "optimizer": optimizer, "measure_at": (0, 60, -1)}
    options |= {"learning_rate": 0.03 if optimizer == "sgd" else 3e-3, "momentum": 0.9, "weight_decay": 0.01}
    runs = [_run(seed=seed, **options) for seed in range(5)]
    sizes, step = [], _Stack._step

    def counted(stack):
        sizes.append(len(stack.data))
        return step(stack)

    monkeypatch.setattr(_Stack, "_step", counted)
    together = train(runs)
    steps = [int(record.summary["steps"]) for record in together]
    assert len(set(steps)) > 2
    assert sizes == [sum(done > k for done in steps) for k in range(max(steps))]
    for record, done in zip(together, steps, strict=True):
        _same(train([record.run])[0], record)
        assert [row["step"] for row in record.diagnostics] == sorted({0, done} | ({60} if done > 60 else set()))


def test_runs_that_diverge_between_evaluations_leave_and_the_others_do_not_notice():
    # A linear recurrence of radius 30 over 12 steps overflows single precision within a few large steps.
    options = {"clip": None, "optimizer": "sgd", "learning_rate": 0.1, "steps": 50, "evaluate_every": 25}
    runs = [
        replace(_run(recurrent=init, seed=seed, **options), cell="linear(size=16)")
        for seed, init in enumerate(("orthogonal(gain=30)", "zeros", "orthogonal(gain=30)", "zeros"))
    ]
    together = train(runs)
    assert [record.summary["steps"] for record in together] == [20, 50, 20, 50]
    for record in together:
        _same(train([record.run])[0], record)


def test_a_run_solved_from_the_start_takes_no_step():
    run = replace(_run(patience=1), task="sign_of_sum_for_tests(length=12, threshold=0.0)")
    (record,) = train([run])
    assert record.summary["steps"] == 0
    assert [row["step"] for row in record.diagnostics] == [0]
    assert record.summary["final_test_score"] == record.summary["test_score"]


def test_best_and_last_parameters_are_scored_on_test_data_each_run_its_own():
    # At this rate some runs end where they were best, and some have been better before.
    runs = [_run(steps=60, learning_rate=0.03, evaluate_every=10, seed=seed) for seed in range(6)]
    stack = _Stack(runs)
    records = stack.train()
    fell_back = stack.progress.fell_back
    assert 0 < fell_back.sum() < len(runs)
    test = held_out_data(stack.task, "test", stack.device, size=stack.cell.size)
    best, last = (
        evaluate(stack.network, values, stack.task, test) for values in (stack.progress.best, stack.progress.last)
    )
    for r, record in enumerate(records):
        scores = record.curves["validation_score"]
        assert record.summary["validation_score"] == max(scores)
        assert fell_back[r] == (scores.index(max(scores)) < len(scores) - 1)
        assert record.summary["test_score"] == best.score[r]
        assert record.summary["test_loss"] == best.loss[r]
        assert record.summary["final_test_score"] == last.score[r]


def test_clipping_is_that_of_torch_run_by_run():
    gradients = [torch.randn(3, 4, 5), torch.randn(3, 7)]
    parameters = [torch.zeros_like(g).requires_grad_() for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    _clip(parameters, 2.0)
    for r in range(3):
        one = [nn.Parameter(torch.zeros_like(g[r])) for g in gradients]
        for parameter, gradient in zip(one, gradients, strict=True):
            parameter.grad = gradient[r].clone()
        nn.utils.clip_grad_norm_(one, 2.0)
        for parameter, ours in zip(one, parameters, strict=True):
            torch.testing.assert_close(ours.grad[r], parameter.grad)


def test_the_process_computes_with_subnormal_numbers_again_afterwards():
    train([_run(steps=1)])
    assert (np.full(3, 2.0**-1060) * 0.5 > 0).all()
    torch.set_flush_denormal(True)
    try:
        train([_run(steps=1)])
        assert not (np.full(3, 2.0**-1060) * 0.5 > 0).any()
    finally:
        torch.set_flush_denormal(False)


def test_runs_that_cannot_be_stacked_are_refused():
    with pytest.raises(ArgumentError, match="must differ in recurrent initializer"):
        train([_run(), _run(learning_rate=1e-2)])
    with pytest.raises(ArgumentError, match="got none"):
        train([])


def test_bfloat16_is_the_precision_of_the_pass_and_not_of_the_parameters():
    low, single = (_Stack([_run(precision=name)]) for name in ("bfloat16", "float32"))
    assert {value.dtype for value in low.parameters.values()} == {torch.float32}
    first, other = low._step(), single._step()
    assert first != other
    # Some rounding errors of 2⁻⁸.
    assert first.item() == pytest.approx(other.item(), rel=0.1)


def test_the_gradient_is_clipped_to_the_norm_of_the_run():
    def moved(clip):
        stack = _Stack([_run(optimizer="sgd", learning_rate=1.0, clip=clip, precision="float64")])
        before = {name: value.detach().clone() for name, value in stack.parameters.items()}
        stack._step()
        norms = ((value - before[name]).norm().item() for name, value in stack.parameters.items())
        return math.hypot(*norms), math.hypot(*(value.norm().item() for value in before.values()))

    norm, size = moved(None)
    for largest in (1e-3, 2e-3):
        # The norm in the divisor has 1e-6 added, as in torch; the parameters, of this size, are rounded.
        assert moved(largest)[0] == pytest.approx(largest * norm / (norm + 1e-6), abs=size * EPS)


def test_the_seed_is_that_of_the_data_too():
    one, other, again = (_Stack([_run(seed=seed)]).data[0].random() for seed in (0, 1, 0))
    assert one == again != other


def test_bfloat16_trains():
    (record,) = train([_run(precision="bfloat16", steps=200, learning_rate=3e-3)])
    assert record.summary["test_score"] > 0.8


def test_diagnostics_are_there_where_they_were_asked_for():
    (record,) = train([_run(measure_at=(0, 20, -1))])
    assert [row["step"] for row in record.diagnostics] == [0, 20, 30]
    first = record.diagnostics[0]
    # An orthogonal weight of 16 units, rounded to single precision.
    assert first["departure[h]"] < 8 * EPS32
    assert first["lyapunov.leading"] < 0
    assert first["gradient.growth_rate"] < 0
    assert record.curves["radius[h]"][0] == pytest.approx(1, abs=8 * EPS32)
    assert record.curves["drift[h]"][0] == 0
    assert record.curves["drift[h]"][-1] > 0


def test_a_record_survives_its_file(tmp_path):
    (record,) = train([_run(seed=3)])
    again = Record.read(record.write(tmp_path))
    assert again.run == record.run
    assert again.summary == record.summary
    assert to_json(again.to_dict()) == to_json(record.to_dict())


def _initial(run):
    network = Network(TrainableCell.parse(run.cell), 1, 2)
    drawn = initial_parameters(
        network.parameters(), [run], cell=network.cell, dtype=torch.float64, device=torch.device("cpu")
    )
    return {name: value[0] for name, value in drawn.items()}


def test_only_the_recurrent_weight_differs_between_initializers_and_twins():
    first, other, twin = (_initial(_run(**o)) for o in ({}, {"recurrent": "torch_default"}, {"twin": 1}))
    for name, value in first.items():
        same = name != "cell.recurrent"
        assert torch.equal(value, other[name]) == same, name
        assert torch.equal(value, twin[name]) == same, name
    assert torch.linalg.matrix_norm(twin["cell.recurrent"], 2).item() == pytest.approx(1)


def test_the_readout_has_an_initializer_of_its_own():
    plain, zeros = _initial(_run()), _initial(_run(readout="zeros"))
    assert plain["readout.weight"].all()
    assert not zeros["readout.weight"].any()
    assert torch.equal(plain["cell.recurrent"], zeros["cell.recurrent"])


def test_input_scale_is_a_factor():
    one, three = _initial(_run()), _initial(_run(input_scale=3.0))
    assert torch.equal(3 * one["cell.input"], three["cell.input"])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ArgumentError, match="has no gates"):
        _initial(_run(bias="chrono"))
    with pytest.raises(ArgumentError, match="must be real"):
        _initial(_run(recurrent="unitary_evolution"))


@dataclass(frozen=True)
class NamedCaptions(Captions):
    """Four sentences, by name."""

    name = "captions_for_tests"


def test_a_translation_is_scored_by_bleu_and_measured_through_its_encoder():
    run = Run(str(NamedCaptions()), "gru(size=16)", "orthogonal", steps=20, evaluate_every=10, learning_rate=1e-2)
    (record,) = train([run])
    assert 0 <= record.summary["test_score"] <= 100
    assert record.environment["bleu"].startswith("nrefs:1")
    assert record.curves["validation_loss"][-1] < record.curves["validation_loss"][0]
    assert {"radius[encoder.0.r]", "radius[decoder.0.n]"} < record.curves.keys()
    assert record.diagnostics[0]["gradient.growth_rate"] < 0
    with pytest.raises(ArgumentError, match="encoder-decoder"):
        train([replace(run, omega=1.0)])


def test_held_out_data_are_drawn_once(monkeypatch):
    drawn, held_out = [], Parity.held_out
    monkeypatch.setattr(Parity, "held_out", lambda task, split: drawn.append(split) or held_out(task, split))
    train([_run(measure_at=(0, -1))])
    assert drawn == ["validation", "test"]
