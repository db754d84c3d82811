"""Nets of one architecture, trained as one program with the library's scans over many runs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from unitcircle.experiments.models import GRU, LSTM, ReLU, Tanh, TrainableCell

SCANS: dict[str, type[TrainableCell]] = {"tanh": Tanh, "relu": ReLU, "gru": GRU, "lstm": LSTM}


class StackedNets:
    """The same function as each of its nets: ``(runs, batch, T, m) -> (runs, batch, 1)``."""

    def __init__(self, nets: Sequence[nn.Module], cell: str) -> None:
        self.net = nets[0]
        self.rnn = nets[0].rnn
        self.cell = SCANS[cell](self.rnn.hidden_size)
        every = [dict(net.named_parameters()) for net in nets]
        self.parameters = {
            name: torch.stack([parameters[name].detach() for parameters in every]).requires_grad_() for name in every[0]
        }

    def __call__(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        if self.net.padding:
            x = torch.cat([x, x.new_zeros(len(x), self.net.padding, *x.shape[2:])], 1)
        last = x
        for layer in range(self.rnn.num_layers):
            weights, start = self._weights(f"l{layer}"), None
            if cut := self.net.cut:
                with torch.no_grad():
                    _, start = self.cell.scan(weights, x[:, :-cut].contiguous())
                x = x[:, -cut:].contiguous()
            h, _ = self.cell.scan(weights, x, start)
            last = h[:, -1]
            if self.rnn.bidirectional:
                back, _ = self.cell.scan(self._weights(f"l{layer}_reverse"), x.flip(1))
                last, h = torch.cat([last, back[:, -1]], -1), torch.cat([h, back.flip(1)], -1)
            x = h
        weight, bias = self.parameters["readout.weight"], self.parameters["readout.bias"]
        return torch.baddbmm(bias.unsqueeze(1), last, weight.transpose(1, 2))

    def _weights(self, layer: str) -> dict[str, Tensor]:
        """The parameters of a scan, from torch's two biases."""
        of = {name: self.parameters[f"rnn.{name}_{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        bias, second = of["bias_ih"], of["bias_hh"]
        weights = {"recurrent": of["weight_hh"], "input": of["weight_ih"]}
        if not isinstance(self.cell, GRU):
            return weights | {"bias": bias + second}
        shared = 2 * self.cell.size
        together = torch.cat([bias[:, :shared] + second[:, :shared], bias[:, shared:]], 1)
        return weights | {"bias": together, "candidate_bias": second[:, shared:]}


def train(stack: StackedNets, batches: Callable[[], tuple[Tensor, Tensor]], *, steps: int, rate: float) -> None:
    """Train every net as if alone: Adam, mean squared error, the gradient of each clipped at norm 1."""
    parameters = list(stack.parameters.values())
    optimizer = torch.optim.Adam(parameters, rate)
    for _ in range(steps):
        x, y = batches()
        optimizer.zero_grad()
        (stack(x) - y).square().mean((1, 2)).sum().backward()
        gradients = [p.grad for p in parameters if p.grad is not None]
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        scale = (1 / (norms + 1e-6)).clamp(max=1)  # as in clip_grad_norm_
        for g in gradients:
            g.mul_(scale.view(-1, *[1] * (g.ndim - 1)))
        optimizer.step()
