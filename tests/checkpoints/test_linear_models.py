"""Eigenvalues at rest against one step of the classes of transformers, made tiny, at zero gate input."""

import inspect

import numpy as np
import pytest

import unitcircle as uc

EPS32 = float(np.finfo(np.float32).eps)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip(
    "transformers", minversion="5.24", reason="the classes take their cache by this name"
)

SMALL = {"vocab_size": 32, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 32, "pad_token_id": 0}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32}
MAMBA2 = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8}
DELTA = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
         "layer_types": ["linear_attention", "full_attention"]}  # fmt: skip
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "head_dim": 8}
MODELS = {
    "mamba": ("Mamba", {}),
    "falcon_mamba": ("Mamba", {}),
    "mamba2": ("Mamba-2", {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1}),
    "falcon_h1": ("Mamba-2", HEADS | MAMBA2 | {"mamba_d_ssm": 64}),
    "olmo_hybrid": ("Gated DeltaNet", HEADS | DELTA),
    "qwen3_next": ("Gated DeltaNet", HEADS | DELTA | EXPERTS | {"shared_expert_intermediate_size": 16}),
    "kimi_linear": ("KDA", HEADS | EXPERTS | {"linear_num_heads": 2, "linear_head_dim": 8, "kv_lora_rank": 8,
                                              "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}),
    "bailing_hybrid": ("KDA, bounded", HEADS | EXPERTS | {"n_group": 1, "topk_group": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_eigenvalues_at_rest_are_those_of_the_class(name):
    family, options = MODELS[name]
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[name](**SMALL, **options)
    model = transformers.AutoModel.from_config(config).eval()
    for parameter, values in model.named_parameters():
        if parameter.endswith("conv1d.bias"):  # of Mamba, the step comes after the convolution
            values.data.zero_()
    layers = [layer for layer in uc.read(model.state_dict()) if layer.linear is not None]
    assert layers
    for layer in layers:
        assert layer.linear.family.name == family
        measured, ours = _decays_of_one_step(model, layer.source.tensors[0], config).ravel(), layer.diagonal.ravel()
        apart = np.abs(measured[:, None] - ours[None])
        assert max(apart.min(0).max(), apart.min(1).max()) < 1e-6


def _decays_of_one_step(model, tensor, config):
    """Return ∂S'/∂S of the mixer that holds a tensor, entry by entry, at input 0 and an empty convolution."""
    path = tensor.rpartition(".")[0]
    while "cache" not in inspect.signature(model.get_submodule(path).forward).parameters:
        path = path.rpartition(".")[0]
    mixer = model.get_submodule(path)
    cache, x = transformers.DynamicCache(config=config), torch.zeros(1, 1, config.hidden_size)
    states = []
    with torch.no_grad():
        mixer(x, cache=cache)
        layer = cache.layers[mixer.layer_idx]
        start = torch.rand_like(layer.recurrent_states[0]) + 1
        for state in (start, torch.zeros_like(start)):
            layer.recurrent_states[0].copy_(state)
            for memory in layer.conv_states.values():
                if memory is not None:
                    memory.zero_()
            mixer(x, cache=cache)
            states.append(layer.recurrent_states[0].double().clone())
    return ((states[0] - states[1]) / start).numpy()


def test_eigenvalues_at_rest_of_an_rg_lru():
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING["recurrent_gemma"](**SMALL, num_attention_heads=4, lru_width=32)
    model = transformers.AutoModel.from_config(config).eval()
    layer = uc.read(model.state_dict())[0]
    unit = model.get_submodule(layer.source.tensors[0].rpartition(".")[0])
    states = []
    for state in (torch.ones(1, 32), torch.zeros(1, 32)):
        unit.recurrent_states = state
        unit(torch.zeros(1, 1, 32), torch.tensor([[5]]))
        states.append(unit.recurrent_states.detach().double().numpy()[0])
    np.testing.assert_allclose(layer.diagonal, states[0] - states[1], rtol=0, atol=2 * EPS32)


def test_a_live_model_is_read_by_its_names():
    config = transformers.CONFIG_MAPPING["mamba2"](**SMALL, num_heads=4, head_dim=16, state_size=8, n_groups=1)
    model = transformers.AutoModel.from_config(config)
    result = uc.diagnose(model)
    assert [layer.kind for layer in result.layers] == ["Mamba-2", "Mamba-2"]
    assert not [finding for finding in result.findings if finding.severity > 1]
    for parameter, values in model.named_parameters():
        if parameter.endswith("dt_bias"):
            values.data.fill_(1.0)
    assert [finding.code for finding in uc.diagnose(model).findings] == ["UC114", "UC114"]
