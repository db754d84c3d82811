import pytest
import torch
from torch import nn

from unitcircle.diagnosis import diagnose


def attention(name, keys=8, module="their.code"):
    """Return a class of that name with the parameters of softmax attention, and keys of a width."""

    def start(self):
        nn.Module.__init__(self)
        for letter, size in zip("qkvo", (keys, keys, 8, 8), strict=True):
            setattr(self, f"{letter}_proj", nn.Linear(8, size, bias=False))

    def forward(self, x):
        return self.o_proj(torch.cumsum(self.v_proj(x), 1))

    return type(name, (nn.Module,), {"__init__": start, "forward": forward, "__module__": module})()


LINEAR = "0 and 1 more are linear attention, of the class LinearAttention: not read"


@pytest.mark.parametrize("batch", [None, torch.ones(2, 5, 8)])
@pytest.mark.parametrize(("name", "keys", "module", "sentences"), [
    ("BasedLinearAttention", 8, "their.code", ["0 and 1 more are Based, of the class BasedLinearAttention: not read"]),
    ("MultiScaleRetention", 8, "x", ["0 and 1 more are RetNet, of the class MultiScaleRetention: not read"]),
    ("LinearAttention", 8, "fla.layers.linear_attn", [LINEAR]),
    ("LinearAttention", 8, "their.code", []),
    ("SelfAttention", 8, "their.code", []),
])  # fmt: skip
def test_a_live_linear_attention_is_named_by_its_class(batch, name, keys, module, sentences):
    model = nn.Sequential(attention(name, keys, module), attention(name, keys, module))
    found = diagnose(model, batch) if batch is not None else diagnose(model)
    assert list(found.coverage.unread) == sentences


def test_what_shapes_tell_is_said_once():
    (sentence,) = diagnose(nn.Sequential(attention("BasedLinearAttention", 16))).coverage.unread
    assert "keys are wider or narrower than its values (Based)" in sentence
