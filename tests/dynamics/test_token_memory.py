"""Memory on given tokens: against the model's own mixers, run token by token from two states, and exact cases."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import unitcircle as uc
from unitcircle.dynamics import token_memory
from unitcircle.dynamics._token_memory import _product_norms
from unitcircle.errors import ArgumentError

TOKENS, LAG = 24, 15
CLOSE = 1e-3
"""The classes compute in float32, and their differences lose three digits at most: 2e-4 measured."""
BEHIND = 0.05
"""What is asked of the norm of a product."""


@pytest.fixture(scope="module")
def survey():
    pytest.importorskip("transformers", minversion="5.24", reason="the classes take their cache by this name")
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    yield importlib.import_module("linear_recurrences")
    sys.path.pop(0)


class CacheOfMiniMax:
    def get_linear_cache(self, _):
        return self.state

    def set_linear_cache(self, _, state):
        self.state = state


def runner(model, mixer, survey):
    """Return functions that feed one token to a mixer, read its state, and set it."""
    import transformers

    if "recurrent_states" in vars(mixer):
        mixer.recurrent_states = None
        return (
            lambda x, t: mixer(x, torch.tensor([[t]])),
            lambda: mixer.recurrent_states.clone(),  # noqa: PLW0108  (made anew by each token)
            lambda state: setattr(mixer, "recurrent_states", state),
        )
    held = {}
    if hasattr(mixer, "mlstm_backend"):
        held["state"] = None

        def feed(x, _):
            held["state"] = mixer(x, held["state"])[1]

        def put(state):
            held["state"] = (state / held["state"][2].exp()[..., None], *held["state"][1:])

        return feed, lambda: held["state"][0] * held["state"][2].exp()[..., None], put
    if hasattr(mixer, "time_decay"):
        size, place = len(mixer.time_decay), mixer.layer_id
        held["state"] = [torch.zeros(1, size, model.config.num_hidden_layers) for _ in range(5)]

        def feed(x, _):
            held["state"] = mixer(x, state=held["state"], use_cache=True)[1]

        def put(state):
            held["state"][2][..., place] = state / held["state"][4][..., place].exp()

        return feed, lambda: (held["state"][2] * held["state"][4].exp())[..., place] + 0, put
    if "position_embeddings" in survey.signature(mixer):
        cache = CacheOfMiniMax()
        cache.state = torch.zeros(1, mixer.num_attention_heads, mixer.head_dim, mixer.head_dim)
        feed = lambda x, _: mixer(x, None, None, cache=cache)  # noqa: E731
        return feed, lambda: cache.state + 0, lambda state: setattr(cache, "state", state)
    cache = transformers.DynamicCache(config=model.config)
    layer = cache.layers[mixer.layer_idx]
    return (
        lambda x, _: mixer(x, cache=cache),
        lambda: layer.recurrent_states[0].clone(),  # noqa: PLW0108  (the tensor is made at the first token)
        lambda state: layer.recurrent_states[0].copy_(state),  # noqa: PLW0108
    )


@torch.no_grad()
def own_norms(model, layer, x, survey):
    """Return log ‖∂S_T/∂S_t‖₂ of each head: the step is linear in the state, so that a difference is its derivative."""
    mixer = survey.mixer_of(model, layer.source.tensors[0])
    ends = []
    for change in (True, False):
        feed, state, put = runner(model, mixer, survey)
        for t in range(TOKENS):
            if t == TOKENS - LAG:
                start = state()
                delta = torch.ones_like(start)
                if layer.linear.family.delta:
                    delta = torch.eye(*start.shape[-2:]).expand_as(start).clone()
                put(start + delta if change else start)
            feed(x[:, t : t + 1], t)
        ends.append(state().double())
    moved = ends[0] - ends[1]
    if layer.linear.family.delta:
        return torch.linalg.matrix_norm(moved, ord=2)[0].numpy()
    return moved[0].numpy()


NAMES = (
    "mamba", "falcon_mamba", "mamba2", "jamba", "zamba", "zamba2", "bamba", "falcon_h1", "granitemoehybrid",
    "nemotron_h", "olmo_hybrid", "qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen4_exp_text", "lara_mini",
    "kimi_linear", "bailing_hybrid", "glm5_next_text", "minimax", "recurrent_gemma", "rwkv", "xlstm",
)  # fmt: skip


def slow_decay(model):
    """Make the heads remember, so that something is left to compare."""
    for name, values in model.named_parameters():
        if name.endswith(("dt_bias", "dt_proj.bias")):
            values.data.uniform_(-4, -2)


@pytest.mark.parametrize("name", NAMES)
def test_the_norm_of_the_product_is_that_of_the_classes(name, survey):
    model = survey.built(name)
    slow_decay(model)
    inputs, tokens = {}, torch.randint(1, 60, (1, TOKENS), generator=torch.Generator().manual_seed(1))
    found, unread = token_memory(model, {"input_ids": tokens})
    assert found
    assert not unread
    for one in found:
        mixer = survey.mixer_of(model, one.layer.source.tensors[0])

        def keep(_, args, kwargs, mixer=mixer):
            inputs[mixer] = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]

        mixer.register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model(tokens, use_cache=False)
    assert model.config.use_cache in {True, None}
    for one in found:
        mixer = survey.mixer_of(model, one.layer.source.tensors[0])
        own = own_norms(model, one.layer, inputs.pop(mixer).clone(), survey)
        (place,) = np.flatnonzero(one.lags == LAG)
        ours = np.exp(one.log_norms[place])
        if not one.layer.linear.family.delta:
            own = own.reshape(len(ours), -1).max(1)
        np.testing.assert_allclose(ours, own, rtol=BEHIND, atol=CLOSE)
        assert one.steps == TOKENS
        assert np.isfinite(one.memory).all()


class GatedDeltaNet(nn.Module):
    """The names and the call of flash-linear-attention."""

    def __init__(self, size=12, heads=2, keys=4):
        super().__init__()
        self.heads, self.keys = heads, keys
        self.A_log = nn.Parameter(torch.zeros(heads))
        self.dt_bias = nn.Parameter(torch.full((heads,), -3.0))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(size, heads * keys, bias=False) for _ in range(3))
        self.a_proj, self.b_proj = (nn.Linear(size, heads, bias=False) for _ in range(2))

    def forward(self, x):
        q, k, v = (part(x).unflatten(-1, (self.heads, self.keys)) for part in (self.q_proj, self.k_proj, self.v_proj))
        o, _ = chunk_gated_delta_rule(
            q=q, k=k, v=v, g=self.a_proj(x), beta=self.b_proj(x), A_log=self.A_log, dt_bias=self.dt_bias,
            use_qk_l2norm_in_kernel=True, use_gate_in_kernel=True, use_beta_sigmoid_in_kernel=True,
        )  # fmt: skip
        return o.flatten(2)


STATES = []


def chunk_gated_delta_rule(q, k, v, g, beta, A_log, dt_bias, **_):
    """Stands for the kernel, token by token, and keeps its states."""
    decay, beta = torch.exp(-A_log.exp() * functional.softplus(g + dt_bias)), beta.sigmoid()
    state = torch.zeros(*k.shape[:1], *k.shape[2:], v.shape[-1], requires_grad=True)
    k, outputs = functional.normalize(k, dim=-1), []
    STATES[:] = [state]
    for t in range(k.shape[1]):
        state = state * decay[:, t, :, None, None]
        new = beta[:, t, :, None] * (v[:, t] - (k[:, t, ..., None] * state).sum(-2))
        state = state + k[:, t, ..., None] * new[..., None, :]
        STATES.append(state)
        outputs.append((q[:, t, ..., None] * state).sum(-2))
    return torch.stack(outputs, 1), state


def test_a_module_with_the_names_of_fla_is_measured_and_autograd_agrees():
    torch.manual_seed(0)
    model, x = GatedDeltaNet().double(), torch.randn(1, 9, 12, dtype=torch.float64)
    (found,), unread = token_memory(model, x)
    assert not unread
    assert found.layer.linear.family.name == "Gated DeltaNet"
    assert globals()["chunk_gated_delta_rule"].__name__ == "chunk_gated_delta_rule"  # put back
    model(x)
    heads, keys = 2, 4
    for lag, norms in zip(found.lags[1:], found.log_norms[1:], strict=True):
        start, last = STATES[9 - lag], STATES[9]
        for head in range(heads):
            rows = [torch.autograd.grad(last[0, head, k, 0], start, retain_graph=True)[0][0, head, :, 0]
                    for k in range(keys)]  # fmt: skip
            exact = torch.linalg.matrix_norm(torch.stack(rows), ord=2).log().item()
            # The keys are normalized with 1e-6 added to their square here, as in the library.
            assert norms[head] == pytest.approx(exact, abs=CLOSE)


def of_keys(k, w, left=None, right=None):
    """Run S' = diag(exp(w)) S + left (rightᵀ S) + k vᵀ with one value a head, token by token, and keep the states."""
    state = torch.zeros(*k.shape[:1], *k.shape[2:], dtype=k.dtype, requires_grad=True)
    STATES[:] = [state]
    for t in range(k.shape[1]):
        read = 0 if left is None else left[:, t] * (right[:, t] * state).sum(-1, keepdim=True)
        state = w[:, t].exp() * state + read + k[:, t]
        STATES.append(state)
    return torch.stack(STATES[1:], 1), None


def chunk_gla(q, k, v, g, **_):
    return of_keys(k, g)


def fused_recurrent_gla(q, k, v, gk=None, **_):
    return of_keys(k, gk)


def chunk_simple_gla(q, k, v, g, **_):
    return of_keys(k, g[..., None].expand_as(k))


def chunk_rwkv6(r, k, v, w, u, **_):
    return of_keys(k, w)


def chunk_rwkv7(r, w, k, v, a, b, **_):
    return of_keys(k, w, b, a)


def fused_mul_recurrent_rwkv7(r, w, k, v, kk, a, **_):
    return of_keys(k, w, kk * a, -kk)


KERNELS = {
    # Kernel of flash-linear-attention → the parameters of its layer, and how the layer calls it.
    "chunk_gla": ({"gk_proj.1.bias": 8}, lambda x, k: chunk_gla(k, k, k, functional.logsigmoid(x) / 16)),
    "fused_recurrent_gla": ({"gk_proj.1.bias": 8},
                            lambda x, k: fused_recurrent_gla(q=k, k=k, v=k, gk=functional.logsigmoid(x) / 16)),
    "chunk_simple_gla": ({"gk_proj.bias": 2, "g_norm.weight": 4},
                         lambda x, k: chunk_simple_gla(k, k, k, functional.logsigmoid(x[..., 0]) / 16)),
    "chunk_rwkv6": ({"w_proj.lora.2.bias": 8, "bonus": 8}, lambda x, k: chunk_rwkv6(k, k, k, -torch.exp(x - 2), None)),
    "chunk_rwkv7": ({"w_lora.lora.2.bias": 8, "k_k": 8},
                    lambda x, k: chunk_rwkv7(k, -0.6065 * x.sigmoid(), k, k, -k, k * x.sigmoid())),
    "fused_mul_recurrent_rwkv7": (
        {"w_lora.lora.2.bias": 8, "k_k": 8},
        lambda x, k: fused_mul_recurrent_rwkv7(k, -0.6065 * x.sigmoid(), k, k, k, x.sigmoid()),
    ),
}  # fmt: skip


class OfFla(nn.Module):
    """A layer with the names of one of the library, whose keys and gates come from its input."""

    def __init__(self, parameters, run):
        super().__init__()
        for name, size in parameters.items():
            *path, leaf = name.split(".")
            holder = self
            for part in path:
                holder.add_module(part, nn.Module()) if not hasattr(holder, part) else None
                holder = getattr(holder, part)
            holder.register_parameter(leaf, nn.Parameter(torch.zeros(size, dtype=torch.float64)))
        self.run = run

    def forward(self, x):
        gate, key = x.unflatten(-1, (2, 2, 4)).unbind(2)
        return self.run(gate, functional.normalize(key, dim=-1))[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_gated_kernels_of_fla_agree_with_autograd(kernel):
    model, steps = OfFla(*KERNELS[kernel]), 7
    x = torch.randn(1, steps, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (found,), unread = token_memory(model, x)
    assert not unread
    model(x)
    for lag, norms in zip(found.lags[1:], found.log_norms[1:], strict=True):
        for head in range(2):
            rows = [torch.autograd.grad(STATES[steps][0, head, k], STATES[steps - lag], retain_graph=True)[0][0, head]
                    for k in range(4)]  # fmt: skip
            exact = torch.linalg.matrix_norm(torch.stack(rows), ord=2).log().item()
            assert norms[head] == pytest.approx(exact, abs=BEHIND / 1e6)


@pytest.mark.parametrize("spread", [0, 0.5, 12])
def test_products_of_long_sequences_that_decay_fast_are_those_of_a_loop(spread):
    """Of 24 keys, over 300 tokens of which each leaves as little as e^-16 to e^-28: nothing under- or overflows."""
    tokens, heads, keys = 300, 2, 24
    generator = torch.Generator().manual_seed(3)
    key = functional.normalize(torch.randn(1, tokens, heads, keys, generator=generator, dtype=torch.float64), dim=-1)
    decay = -16 * torch.rand(1, tokens, heads, 1, generator=generator, dtype=torch.float64)
    decay = decay - spread * torch.rand(1, tokens, heads, keys if spread else 1, generator=generator)
    strength = torch.rand(1, tokens, heads, 1, generator=generator, dtype=torch.float64)
    lags, norms = _product_norms(decay, -strength * key, decay.exp() * key)
    exact, scale = {0: torch.zeros(heads)}, torch.zeros(heads, dtype=torch.float64)
    product = torch.eye(keys, dtype=torch.float64).expand(heads, keys, keys)
    for lag in range(1, tokens + 1):
        t = tokens - lag
        step = torch.diag_embed(decay[0, t].exp().expand(heads, keys))
        product = product @ (step - (strength * key)[0, t][..., None] * (decay.exp() * key)[0, t][:, None])
        norm = torch.linalg.matrix_norm(product, ord=2)
        product, scale = product / norm[:, None, None], scale + norm.log()
        exact[lag] = scale
    for lag, found in zip(lags, norms, strict=True):
        np.testing.assert_allclose(found, exact[lag], atol=BEHIND)


def codes(model, tokens=24):
    x = torch.randn(2, tokens, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return {f.code: f for f in uc.diagnose(model, x).findings if f.kind == "defect"}


def test_rules_about_memory_judge_a_batch_by_its_tokens():
    torch.manual_seed(0)
    model = GatedDeltaNet().double()
    model.a_proj = nn.Linear(12, 2, dtype=torch.float64)
    model.a_proj.weight.data.zero_()
    # At rest 1/1000 is left after 5 tokens; the inputs of this batch hold the gate nearly shut.
    model.dt_bias.data = torch.tensor([1.0, 1.0], dtype=torch.float64)
    model.a_proj.bias.data.fill_(-9.0)
    found = codes(model)
    assert "UC112" not in found
    assert str(found["UC114"].severity) == "note"
    assert "on these tokens: median" in found["UC114"].message
    # The other way round: slow at rest, and open on these tokens.
    model.dt_bias.data = torch.tensor([-5.0, -6.0], dtype=torch.float64)
    model.a_proj.bias.data.fill_(9.0)
    found = codes(model, tokens=40)
    assert "on these tokens the slowest head" in found["UC112"].message
    assert "UC112" not in {f.code for f in uc.diagnose(model, steps=40).findings}
    # Endless, or momentary, at rest and not on the tokens.
    model.A_log.data = torch.tensor([0.0, 0.3], dtype=torch.float64)
    for bias, shift, code in ((-40.0, 38.0, "UC116"), (8.0, -12.0, "UC118")):
        model.dt_bias.data = torch.tensor([bias, bias + 0.5], dtype=torch.float64)
        model.a_proj.bias.data.fill_(0.0)
        assert code in codes(model)
        model.a_proj.bias.data.fill_(shift)
        assert code not in codes(model)


def test_what_runs_no_known_scan_is_said():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.A_log, self.dt_bias = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
            self.in_proj = nn.Linear(4, 4)

        def forward(self, x):
            return self.in_proj(x) * torch.exp(-self.A_log.exp() * functional.softplus(self.dt_bias))

    found, (sentence,) = token_memory(Own(), torch.ones(1, 5, 4))
    assert not found
    assert sentence.startswith("layer (Mamba-2) ran no scan") or "(Mamba-2) ran no scan" in sentence
    result = uc.diagnose(Own(), torch.ones(1, 5, 4))
    assert any("ran no scan" in text for text in result.coverage.unread)


def test_a_diagnosis_on_a_batch_says_the_memory_on_these_tokens(survey):
    model = survey.built("qwen3_next")  # its experts do not run in double precision
    result = uc.diagnose(model, {"input_ids": torch.randint(1, 60, (2, 32))})
    assert [layer.kind for layer in result.layers] == ["Gated DeltaNet"]
    assert "; on these tokens: median " in result.answer.sentence
    text = " ".join(str(result).split())
    assert "memory on these tokens: layers.0.linear_attn: median" in text
    data = result.to_dict()["layers"][0]["linear"]["tokens"]
    assert data["steps"] == 32
    assert set(data["survival"]) == {"1", "4", "16"}
    with pytest.raises(ArgumentError, match="must not exceed the batch's 32"):
        uc.diagnose(model, {"input_ids": torch.randint(1, 60, (2, 32))}, steps=33)
