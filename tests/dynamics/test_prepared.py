"""The door to a live model: every kind of model, batch and loss is measured, or refused in words of the house."""

import collections
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from unitcircle import diagnose
from unitcircle.dynamics import calibrate_, depth_flow, gradient_flow, prepared
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError
from unitcircle.monitor import Monitor
from unitcircle.torch import initialize_

EPS = float(np.finfo(float).eps)

B, T, M, N, C = 3, 6, 2, 4, 5
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(B, T, M, generator=GENERATOR)
Y = torch.randint(C, (B,), generator=GENERATOR)
STEPS = torch.randint(C, (B, T), generator=GENERATOR)
VALUES = torch.randn(B, C, generator=GENERATOR)
WEIGHT = torch.rand(C, generator=GENERATOR)


class Reader(nn.Module):
    """Classifies a sequence by its last state."""

    def __init__(self, cell=nn.LSTM, every_step=False):
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.out, self.every_step = cell(M, N, batch_first=True), nn.Linear(N, C), every_step

    def forward(self, x):
        return self.read(x)

    def read(self, x):
        h = self.rnn(x)[0]
        return self.out(h if self.every_step else h[:, -1])


class Pair(Reader):
    def forward(self, x):
        y, state = self.rnn(x)
        return self.out(y[:, -1]), state


class OfLengths(Reader):
    def forward(self, x, lengths):
        h = self.rnn(x)[0]
        return self.out(h[torch.arange(len(x)), lengths - 1])


class Output(collections.OrderedDict):
    """A ModelOutput of transformers in small."""

    def __getattr__(self, name):
        return self[name]


class OfLabels(Reader):
    def forward(self, x, labels=None):
        z = self.read(x)
        return Output(logits=z) if labels is None else Output(loss=functional.cross_entropy(z, labels), logits=z)


class OfBatch(Reader):
    def forward(self, batch):
        return self.read(batch["x"])


class Checkpointed(Reader):
    reentrant = False

    def forward(self, x):
        return self.out(checkpoint(lambda z: self.rnn(z)[0], x, use_reentrant=self.reentrant)[:, -1])


class Reentrant(Checkpointed):
    reentrant = True


class Single(Reader):
    def forward(self, x):
        return self.read(x) + torch.zeros(1, N, dtype=torch.float32) @ torch.zeros(N, C, dtype=self.out.weight.dtype)


class Detached(Reader):
    def forward(self, x):
        return self.read(x).detach()


def old_weight_norm():
    model = Reader()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model.rnn, "weight_hh_l0")
    return model


def lazy():
    model = Reader()
    model.out = nn.LazyLinear(C)
    return model


def quantized():
    with pytest.warns(Warning):  # noqa: PT030  (deprecated in torch, and in use)
        return torch.ao.quantization.quantize_dynamic(Reader(), {nn.LSTM}, dtype=torch.qint8)


def scripted():
    with pytest.warns(Warning):  # noqa: PT030
        return torch.jit.script(nn.Sequential(nn.Linear(M, N), nn.Tanh()))


MODELS = {
    "plain": Reader,
    "every step": functools.partial(Reader, every_step=True),
    "tuple": Pair,
    "lengths": OfLengths,
    "labels": OfLabels,
    "batch": OfBatch,
    "parallel": lambda: nn.DataParallel(Reader()),
    "compiled": lambda: torch.compile(Reader()),
    "part compiled": lambda: nn.Sequential(torch.compile(Reader())),
    "checkpoint": Checkpointed,
    "reentrant": Reentrant,
    "float32": Single,
    "double": lambda: Reader().double(),
    "half": lambda: Reader().bfloat16(),
    "weight norm": old_weight_norm,
    "parametrized": lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(M, M)), Reader()),
    "detached": Detached,
    "lazy": lazy,
    "meta": lambda: Reader().to("meta"),
    "quantized": quantized,
    "scripted": scripted,
    "no recurrence": lambda: nn.Sequential(nn.Flatten(), nn.Linear(T * M, C)),
    "function": lambda: lambda x: x,
    "class": lambda: Reader,
    "None": lambda: None,
}
REFUSED = {"lazy", "meta", "quantized", "scripted", "no recurrence", "function", "class", "None"}
BATCHES = {
    "x": lambda: X,
    "(x,)": lambda: (X,),
    "(x, y)": lambda: (X, Y),
    "(x, steps)": lambda: (X, STEPS),
    "(x, values)": lambda: (X, VALUES),
    "(x, lengths, y)": lambda: (X, torch.tensor([6, 2, 4]), Y),
    "((x, lengths), y)": lambda: ((X, torch.tensor([6, 2, 4])), Y),
    "numpy": lambda: (X.double().numpy(), Y.numpy()),
    "dictionary": lambda: {"x": X},
    "dictionary of NumPy": lambda: {"x": X.numpy(), "y": VALUES.numpy()},
    "labels": lambda: {"x": X, "labels": Y},
    "lists": lambda: {"x": X.tolist(), "labels": Y.tolist()},
    "(dictionary, y)": lambda: ({"x": X}, Y),
    "UserDict": lambda: collections.UserDict(x=X, labels=Y),
    "loader": lambda: DataLoader(TensorDataset(X, Y), batch_size=2),
    "loader of inputs": lambda: DataLoader(TensorDataset(X), batch_size=2),
    "empty loader": lambda: DataLoader(TensorDataset(X[:0], Y[:0])),
    "packed": lambda: nn.utils.rnn.pack_padded_sequence(X, torch.tensor([6, 4, 2]), batch_first=True),
    "NaN": lambda: (X.clone().index_fill_(1, torch.tensor(2), math.nan), Y),
    "infinity": lambda: (X.clone().index_fill_(1, torch.tensor(2), math.inf), Y),
    "NaN target": lambda: (X, VALUES * math.nan),
    "text": lambda: "a sentence",
    "texts": lambda: np.array(["a", "sentence"]),
    "wrong size": lambda: (torch.zeros(B, T, M + 1), Y),
    "wrong target": lambda: (X, torch.zeros(B + 1)),
    "class too large": lambda: (X, Y + C),
    "unknown keys": lambda: {"x": X, "length": 3},
    "ragged": lambda: {"x": [[1, 2], [3]]},
    "nothing": lambda: (),
}
LOSSES = {
    "none": lambda: None,
    "cross entropy": nn.CrossEntropyLoss,
    "class weights": lambda: nn.CrossEntropyLoss(weight=WEIGHT),
    "function": lambda: functional.cross_entropy,
    "partial": lambda: functools.partial(functional.cross_entropy, weight=WEIGHT),
    "closure": lambda: lambda output, target: functional.cross_entropy(output, target, weight=WEIGHT),
    "Huber": nn.HuberLoss,
    "of the output": lambda: lambda output: output.loss,
    "sum": lambda: torch.sum,
    "no scalar": lambda: nn.CrossEntropyLoss(reduction="none"),
    "detached": lambda: lambda output, target: torch.tensor(1.0),
    "name": lambda: "mse",
}


@pytest.mark.filterwarnings("ignore")  # torch's own, of deprecated forms
@pytest.mark.parametrize("kind", MODELS)
def test_every_combination_is_measured_or_refused_by_this_package(kind):
    """8,700 combinations; an error of another library fails the test."""
    model = MODELS[kind]()
    measured = 0
    for batch, loss in itertools.product(BATCHES.values(), LOSSES.values()):
        try:
            flow = gradient_flow(model, batch(), loss(), dtype=torch.float32 if kind == "float32" else torch.float64)
        except ArgumentError:
            continue
        measured += 1
        assert not np.isposinf(flow.log_norms).any()
    assert (measured > 3) == (kind not in REFUSED)


def by_hand(model, x, objective):
    """Return the norms of the gradient of an objective by lag, from autograd alone, in double precision."""
    model = model.double()
    states = [torch.zeros(1, len(x), N, dtype=torch.float64, requires_grad=True)]
    cells = [torch.zeros(1, len(x), N, dtype=torch.float64, requires_grad=True)]
    outputs = []
    for t in range(T):
        y, (h, c) = model.rnn(x[:, t : t + 1].double(), (states[-1], cells[-1]))
        h.retain_grad()
        c.retain_grad()
        states.append(h)
        cells.append(c)
        outputs.append(y)
    # The output is that of the last state, which lag 0 differentiates with respect to.
    objective(model.out(states[-1][0]), model.out(torch.cat([h.transpose(0, 1) for h in states[1:]], 1))).backward()
    norms = []
    for t, (h, c) in enumerate(zip(states, cells, strict=True)):
        of_h, of_c = (torch.zeros_like(s) if s.grad is None else s.grad for s in (h, c))
        if t:  # the layer returns copies, of which c does not show that h_t = o tanh c_t is computed from it
            of_c = of_c + of_h * h / torch.tanh(c) * (1 - torch.tanh(c) ** 2)
        norms.append(torch.sqrt(of_h.square().sum(-1) + of_c.square().sum(-1))[0].detach())
    return torch.stack(norms[::-1]).numpy()


LAST, EVERY = (lambda f: lambda last, every: f(last)), (lambda f: lambda last, every: f(every))
MEASURED = [
    ("plain", "(x, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("plain", "numpy", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("plain", "labels", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("plain", "lists", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("plain", "UserDict", "cross entropy", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("plain", "(dictionary, y)", "function", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("plain", "(x, y)", "class weights", LAST(lambda z: functional.cross_entropy(z, Y, WEIGHT.double()))),
    ("plain", "(x, y)", "partial", LAST(lambda z: functional.cross_entropy(z, Y, WEIGHT.double()))),
    ("plain", "(x, values)", "none", LAST(lambda z: functional.mse_loss(z, VALUES.double()))),
    ("plain", "dictionary of NumPy", "Huber", LAST(lambda z: functional.huber_loss(z, VALUES.double()))),
    ("plain", "dictionary", "sum", LAST(torch.sum)),
    ("every step", "(x, steps)", "none", EVERY(lambda z: functional.cross_entropy(z.transpose(1, 2), STEPS))),
    ("every step", "(x, steps)", "cross entropy", EVERY(lambda z: functional.cross_entropy(z.transpose(1, 2), STEPS))),
    (
        "every step",
        "(x, steps)",
        "class weights",
        EVERY(lambda z: functional.cross_entropy(z.transpose(1, 2), STEPS, WEIGHT.double())),
    ),
    ("tuple", "(x, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("tuple", "(x, y)", "cross entropy", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("labels", "labels", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("labels", "UserDict", "of the output", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("labels", "(dictionary, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("batch", "labels", "none", None),
    ("batch", "(dictionary, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("lengths", "(x, lengths, y)", "none", None),
    ("lengths", "((x, lengths), y)", "cross entropy", None),
    ("parallel", "(x, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("compiled", "(x, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("part compiled", "(x, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("checkpoint", "(x, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("reentrant", "(x, y)", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("double", "numpy", "none", LAST(lambda z: functional.cross_entropy(z, Y))),
    ("plain", "loader", "none", None),
    ("plain", "loader of inputs", "none", None),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "batch", "loss", "objective"), MEASURED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_gradient_is_that_of_the_loss_by_autograd(kind, batch, loss, objective):
    flow = gradient_flow(MODELS[kind](), BATCHES[batch](), LOSSES[loss]())
    assert np.isfinite(flow.log_norms[0]).all()
    if kind == "lengths":
        assert flow.lengths[0].tolist() == [6, 2, 4]
    if objective is not None:
        expected = by_hand(Reader(), X, objective)
        # 4 eps measured.
        np.testing.assert_allclose(flow.norms[:, 0], expected, rtol=64 * EPS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("door", ["diagnose", "calibrate_", "Monitor"])
def test_every_door_measures_or_refuses(door, kind):
    model = MODELS[kind]()
    measured = 0
    for name in ("x", "(x, y)", "numpy", "(x, lengths, y)", "labels", "loader", "NaN", "wrong size"):
        try:
            if door == "diagnose":
                measured += len(diagnose(model, BATCHES[name]()).layers) > 0
            elif door == "calibrate_":
                measured += calibrate_(model, BATCHES[name](), grid=5).applied
            else:
                records = []
                monitor = Monitor(model, batch=BATCHES[name](), sinks=lambda record, step: records.append(record))  # noqa: B023
                monitor.step()
                measured += any("gradient_growth" in key for key in records[0])
        except ArgumentError:
            continue
    assert (measured > 0) == (kind not in REFUSED)


class Decoder(Reader):
    def forward(self, x, target):
        assert len(target) == B
        return self.read(x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("measure", "error", "words"),
    [
        (lambda: gradient_flow(Reader(), BATCHES["NaN"]()), NotFiniteError, r"NaN in the input \(6 of 36 entries\)"),
        (lambda: gradient_flow(OfLabels(), BATCHES["NaN"]()), NotFiniteError, "NaN in the input"),
        (lambda: diagnose(Reader(), BATCHES["infinity"]()), NotFiniteError, "infinity in the input"),
        (lambda: diagnose(Reader(), BATCHES["NaN target"]()), NotFiniteError, "NaN in the target"),
        (lambda: diagnose(Reader(), (X.index_fill(1, torch.tensor(2), -math.inf), Y)), NotFiniteError, "infinity"),
        (lambda: gradient_flow(scripted(), X), ArgumentError, "TorchScript"),
        (lambda: gradient_flow(quantized(), X), ArgumentError, r"rnn \(LSTM\), which is quantized"),
        (lambda: gradient_flow(Reader().to("meta"), X), ArgumentError, "rnn.weight_ih_l0 on the meta device"),
        (lambda: gradient_flow(lazy(), X), ArgumentError, "out.weight, which is lazy"),
        (lambda: gradient_flow(Reader, X), ArgumentError, "Pass an instance"),
        (lambda: gradient_flow(lambda x, h: h, X), ArgumentError, "as_recurrence"),
        (lambda: gradient_flow(Reader(), X, "mse"), ArgumentError, "loss must be a function"),
        (lambda: gradient_flow(Reader(), (X, Y), lambda z, y: z[:, y[0]]), ArgumentError, "scalar tensor; got shape"),
        (
            lambda: gradient_flow(Reader(), (X, Y), lambda z, y: z.nothing),
            ArgumentError,
            "loss must be.*AttributeError",
        ),
        (lambda: gradient_flow(Detached(), (X, Y)), ArgumentError, "without a gradient"),
        (lambda: gradient_flow(Single(), X), DtypeError, "dtype=None"),
        (
            lambda: gradient_flow(Reader(), BATCHES["wrong target"]()),
            ShapeError,
            r"\(4,\) for an output of shape \(3, 5\)",
        ),
        (lambda: gradient_flow(Reader(), BATCHES["class too large"]()), ArgumentError, "classes below the 5 outputs"),
        (
            lambda: gradient_flow(Reader(), BATCHES["unknown keys"]()),
            ArgumentError,
            "arguments of Reader: x; got 'length'",
        ),
        (lambda: gradient_flow(Reader(), BATCHES["ragged"]()), ArgumentError, "padded to one length"),
        (
            lambda: gradient_flow(Reader(), BATCHES["wrong size"]()),
            ArgumentError,
            "what rnn .LSTM. takes.*It is run on the input",
        ),
        (lambda: gradient_flow(Reader(), (X, X, X, X)), ArgumentError, "takes 1 by position; got 4 items"),
    ],
)
def test_a_refusal_says_why_in_words(measure, error, words):
    with pytest.raises(error, match=words):
        measure()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "batch", "loss", "used"),
    [
        ("plain", (X, Y), None, "cross entropy"),
        ("plain", (X, VALUES), None, "squared error"),
        ("plain", (X, torch.eye(C)[:B].long()), None, "binary cross entropy"),
        ("labels", {"x": X, "labels": Y}, None, "the loss that the model returns"),
        ("plain", X, None, "a random cotangent of the last state, without a loss"),
        ("plain", X, torch.sum, "the loss that was given"),
        ("float32", (X, Y), None, "measured in that, not in double precision"),
        ("plain", (X, Y), LOSSES["closure"](), "measured in that, not in double precision"),
    ],
)
def test_the_diagnosis_says_what_the_gradient_is_of(kind, batch, loss, used):
    assert used in " ".join(str(diagnose(MODELS[kind](), batch, loss=loss)).split())


def test_a_decoder_gets_the_target_that_its_loss_is_computed_from():
    flow = gradient_flow(Decoder(), (X, Y), functional.cross_entropy)
    np.testing.assert_array_equal(flow.log_norms, gradient_flow(Reader(), (X, Y)).log_norms)


def test_one_output_for_two_classes_has_the_binary_cross_entropy():
    """The cross entropy of one class is 0, and so is its gradient."""
    model, target = Reader(), torch.tensor([0, 1, 1])
    model.out = nn.Linear(N, 1)
    flow = gradient_flow(model, (X, target))
    by_name = gradient_flow(model, (X, target), lambda z, y: nn.BCEWithLogitsLoss()(z[:, 0], y.double()))
    np.testing.assert_allclose(flow.norms, by_name.norms, rtol=4 * EPS)
    assert (flow.norms > 0).all()


def test_to_prepare_again_changes_nothing():
    once = prepared(nn.DataParallel(Reader()), DataLoader(TensorDataset(X, Y), batch_size=2), nn.HuberLoss())
    again = prepared(*once)
    assert all(first is second for first, second in zip(once, again, strict=True))
    assert isinstance(once.model, Reader)


def test_missing_values_that_the_model_replaces_are_measured():
    class Filled(Reader):
        def forward(self, x):
            return self.read(torch.nan_to_num(x))

    x = BATCHES["NaN"]()[0]
    flow = gradient_flow(Filled(), x)
    np.testing.assert_array_equal(flow.log_norms, gradient_flow(Reader(), torch.nan_to_num(x)).log_norms)


def test_a_stack_in_depth_takes_the_same_batches():
    stack = nn.Sequential(nn.Linear(M, N), nn.Tanh(), nn.Linear(N, C))
    by_array = depth_flow(nn.DataParallel(stack), (X[:, 0].numpy(), Y.numpy()))
    np.testing.assert_array_equal(by_array.log_norms, depth_flow(stack, (X[:, 0], Y)).log_norms)
    with pytest.raises(NotFiniteError, match="NaN in the input"):
        depth_flow(stack, X[:, 0] * math.nan)


def of_package(name, **attributes):
    return type("Model", (), {"__module__": f"{name}.models", **attributes})()


@pytest.mark.parametrize(
    ("door", "model", "words"),
    [
        (lambda model: gradient_flow(model, X), of_package("flax"), r"diagnose\(model, batch\)"),
        (lambda model: calibrate_(model, X), of_package("equinox"), r"diagnose\(model, batch\)"),
        (lambda model: gradient_flow(model, X), of_package("sklearn"), "scikit-learn runs no recurrence"),
        (lambda model: calibrate_(model, X), Reader().state_dict(), "Load it into its module"),
        (lambda model: gradient_flow(model, X), [Reader()], "one module"),
        (lambda model: gradient_flow(model, X), of_package("lab", model=Reader()), "its model"),
        (lambda model: Monitor(model, every=1), Reader().state_dict(), "function without arguments"),
        (diagnose, of_package("sklearn"), "scikit-learn holds no recurrence"),
        (diagnose, Reader, "an instance"),
        (diagnose, [Reader()], "ModuleList"),
        (diagnose, of_package("lab", model=Reader()), "its model"),
        (lambda model: initialize_(model, bias="zeros"), of_package("flax"), r"unitcircle\.jax\.initialize_"),
        (lambda model: initialize_(model, bias="zeros"), of_package("keras"), r"unitcircle\.keras\.initialize_"),
    ],
)
def test_an_object_that_is_no_module_is_led_to_its_own_door(door, model, words):
    with pytest.raises(ArgumentError, match=words):
        door(model)
