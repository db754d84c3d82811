"""Two stacks of cells with attention between them: one encodes a sequence, the other generates another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitcircle.errors import ArgumentError
from unitcircle.experiments._torch import torch
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell
from unitcircle.initializers import Gaussian, XavierNormal, Zeros

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class EncoderDecoder:
    r"""An encoder and a decoder of one kind of cell, with attention over the states of the encoder.

    With s_j the encoder's states, s_m the one after a source's last token, and h_t the decoder's states,

    .. math::
        s_j &= \text{cell}(E_s x_j, s_{j-1}), \qquad h_t = \text{cell}([E_t y_{t-1}; s_m], h_{t-1}), \\
        a_{tj} &= \text{softmax}_j(h_t^\top A s_j), \qquad c_t = \sum_j a_{tj} s_j, \\
        p(y_t) &= \text{softmax}(V \tanh(C [c_t; h_t]) + b).

    The attention is Luong's "general" form without input feeding, so that each cell processes a whole sequence at once.
    As in Cho's decoder, the last output of the encoder is an input of every step; it does not become the initial state,
    because the states of different cells have different parts. Padding has no influence: it follows the tokens of the
    source, and the attention masks it.

    Attributes
    ----------
    cell
        The cell of every layer; n = ``cell.size`` is also the width of the embeddings.
    inputs, outputs
        Tokens of the source's and of the target's vocabulary.
    layers
        Cells on top of each other, in the encoder and in the decoder.
    padding, start, end
        Special tokens.

    References
    ----------
    K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    EMNLP 2014, section 2.2; M.-T. Luong, H. Pham, C. D. Manning, "Effective approaches to attention-based neural
    machine translation", EMNLP 2015, section 3.1.

    Examples
    --------
    >>> from unitcircle.experiments.models import LSTM
    >>> network = EncoderDecoder(LSTM(size=4), inputs=10, outputs=12)
    >>> {name: p.shape for name, p in network.parameters().items() if name.startswith(("source", "target"))}
    {'source.weight': (10, 4), 'target.weight': (12, 4)}
    """

    cell: TrainableCell
    inputs: int
    outputs: int
    layers: int = 1
    padding: int = 0
    start: int = 1
    end: int = 2

    def __post_init__(self) -> None:
        if not self.cell.recurrent:
            raise ArgumentError("cell", "must be recurrent in an encoder-decoder", str(self.cell))
        if self.layers < 1:
            raise ArgumentError("layers", "must be at least 1", str(self.layers))

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of embeddings, cells (``encoder.0.*``, ``decoder.0.*``), attention and readout."""
        n, k = self.cell.size, self.cell.features
        stacks = {
            f"{side}.{layer}.{name}": parameter
            for side, first in (("encoder", n), ("decoder", n + k))
            for layer in range(self.layers)
            for name, parameter in self.cell.parameters(k if layer else first).items()
        }
        return {
            "source.weight": Parameter((self.inputs, n), Role.OWN, own=Gaussian(std=1.0)),
            "target.weight": Parameter((self.outputs, n), Role.OWN, own=Gaussian(std=1.0)),
            **stacks,
            "attention.weight": Parameter((k, k), Role.OWN, own=XavierNormal()),
            "combination.weight": Parameter((n, 2 * k), Role.OWN, own=XavierNormal()),
            "readout.weight": Parameter((self.outputs, n), Role.READOUT),
            "readout.bias": Parameter((self.outputs,), Role.OWN, own=Zeros()),
        }

    def stacks(self, parameters: Parameters, /) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of every cell, by their names in the cell: ``"encoder.0"`` → name → ``(R, ...)``."""
        stacks: dict[str, dict[str, Tensor]] = {}
        for name, value in parameters.items():
            side, _, rest = name.partition(".")
            if side in {"encoder", "decoder"}:
                layer, _, inner = rest.partition(".")
                stacks.setdefault(f"{side}.{layer}", {})[inner] = value
        return stacks

    def recurrent_weights(self, parameters: Parameters, /) -> dict[str, Tensor]:
        """Return the effective recurrent weight of every gate of every cell: ``"encoder.0.h"`` → ``(R, n, n)``."""
        return {
            f"{place}.{gate}": W
            for place, values in self.stacks(parameters).items()
            for gate, W in self.cell.recurrent_weights(values).items()
        }

    def embed(self, parameters: Parameters, inputs: Tensor, /) -> Tensor:
        """Return what drives the encoder, ``(R, T_s, B, n)``, for inputs as of :meth:`outputs_of`."""
        return _rows(parameters["source.weight"], self._parts(inputs)[0])

    def outputs_of(self, parameters: Parameters, inputs: Tensor, /) -> Tensor:
        """Return the logits of every next token, with the tokens before it given.

        Parameters
        ----------
        parameters
            Of R runs.
        inputs
            Integers ``(R, T_s + T_t, B)``: sources with their padding, then from a row of start tokens on what the
            decoder is fed.

        Returns
        -------
        Tensor
            ``(R, T_t, B, outputs)``.
        """
        _, fed = self._parts(inputs)
        states, last, real = self._encode(parameters, inputs)
        context = last.unsqueeze(1).expand(-1, fed.shape[1], -1, -1)
        hidden = torch.cat([_rows(parameters["target.weight"], fed), context], -1)
        stacks = self.stacks(parameters)
        for layer in range(self.layers):
            hidden = self.cell.forward(stacks[f"decoder.{layer}"], hidden)
        return _read(parameters, hidden, states, real)

    def translate(self, parameters: Parameters, inputs: Tensor, /, *, steps: int | None = None) -> Tensor:
        """Generate the most probable token, step by step, until the end token.

        Parameters
        ----------
        parameters
            Of R runs.
        inputs
            Sources, integers ``(R, T_s, B)``; a row of start tokens and what follows it is ignored.
        steps
            Largest number of generated tokens; ``2 T_s + 10`` by default.

        Returns
        -------
        Tensor
            Integers ``(R, T, B)``: generated tokens with the end token, then padding; T is the largest length.
        """
        with torch.no_grad():
            return self._translate(parameters, inputs, steps)

    def _translate(self, parameters: Parameters, inputs: Tensor, steps: int | None) -> Tensor:
        source, _ = self._parts(inputs)
        states, last, real = self._encode(parameters, inputs)
        stacks = self.stacks(parameters)
        decoder = [self.cell.effective(stacks[f"decoder.{layer}"]) for layer in range(self.layers)]
        states_of_layers: list[State] = [self.cell.initial(values, source.shape[2]) for values in decoder]
        token = torch.full_like(source[:, 0], self.start)
        ended = torch.zeros_like(token, dtype=torch.bool)
        answer: list[Tensor] = []
        for _ in range(2 * source.shape[1] + 10 if steps is None else steps):
            x = torch.cat([_rows(parameters["target.weight"], token), last], -1)
            for layer, values in enumerate(decoder):
                states_of_layers[layer] = self.cell.step(values, x, states_of_layers[layer])
                x = states_of_layers[layer][0]
            logits = _read(parameters, x.unsqueeze(1), states, real)
            token = logits[:, 0].argmax(-1).masked_fill(ended, self.padding)
            answer.append(token)
            ended |= token == self.end
            if ended.all():
                break
        return torch.stack(answer, 1)

    def _parts(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return sources ``(R, T_s, B)`` and what the decoder is fed ``(R, T_t, B)``."""
        starts = (inputs[0, :, 0] == self.start).nonzero()
        split = int(starts[0]) if len(starts) else inputs.shape[1]
        return inputs[:, :split], inputs[:, split:]

    def _encode(self, parameters: Parameters, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states ``(R, T_s, B, k)``, those after the last tokens ``(R, B, k)``, and where tokens are."""
        hidden = self.embed(parameters, inputs)
        stacks = self.stacks(parameters)
        for layer in range(self.layers):
            hidden = self.cell.forward(stacks[f"encoder.{layer}"], hidden)
        real = self._parts(inputs)[0] != self.padding
        last = (real.sum(1, keepdim=True) - 1)[..., None].expand(-1, -1, -1, hidden.shape[-1])
        return hidden, hidden.gather(1, last).squeeze(1), real


def _read(parameters: Parameters, hidden: Tensor, states: Tensor, real: Tensor) -> Tensor:
    """Return the logits ``(R, T_t, B, outputs)`` to the decoder's states ``(R, T_t, B, k)``."""
    from unitcircle.experiments.models._aligned import affine, run_by_run

    names = ("attention.weight", "combination.weight", "readout.weight", "readout.bias")

    def read_run(h: Tensor, s: Tensor, real: Tensor, *weights: Tensor) -> tuple[Tensor]:
        A, C, V, b = weights
        # A sequence is a matrix: (1, B, T, k).
        queries, s = affine(h, A.transpose(1, 2), None).transpose(1, 2), s.transpose(1, 2)
        scores = (queries @ s.transpose(-1, -2)).masked_fill(~real.transpose(1, 2).unsqueeze(2), -torch.inf)
        context = (torch.softmax(scores, -1) @ s).transpose(1, 2)
        return (affine(torch.tanh(affine(torch.cat([context, h], -1), C, None)), V, b),)

    # These products are large: stacking the runs gains nothing, and run by run each has the same bits as alone.
    return run_by_run(read_run, hidden, states, real, *(parameters[name] for name in names))[0]


def _rows(weight: Tensor, tokens: Tensor) -> Tensor:
    """Return the rows ``(R, ..., n)`` of ``(R, V, n)`` that tokens ``(R, ...)`` name."""
    runs, size, _ = weight.shape
    offsets = size * torch.arange(runs, device=tokens.device).reshape(-1, *[1] * (tokens.ndim - 1))
    return torch.nn.functional.embedding(tokens + offsets, weight.flatten(0, 1))
