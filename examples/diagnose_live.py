"""Diagnose an LSTM that reads handwritten digits pixel by pixel, initialized the popular way, and try remedies.

    pip install 'unitcircle[torch]' scikit-learn
    python examples/diagnose_live.py                  # under a minute on one core
    python examples/diagnose_live.py --html out.html

The same from the command line, in this folder:

    python diagnose_live.py --batch digits.npz
    unitcircle diagnose diagnose_live:popular_lstm --data digits.npz --try remedies
"""

import argparse
import os
from pathlib import Path

# Small matrices one after the other: threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import unitcircle as uc

PIXELS = 64


class PixelReader(nn.Module):
    """One recurrent layer over 64 pixels, a linear readout of its last state."""

    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        self.rnn = nn.LSTM(1, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.readout(self.rnn(inputs)[0][:, -1])


def popular_lstm() -> PixelReader:
    """Initialize the way that is popular: ``orthogonal_`` on the stack of four gates, zero biases."""
    model = PixelReader()
    for name, tensor in model.rnn.named_parameters():
        if "weight_hh" in name:
            nn.init.orthogonal_(tensor)
        elif "bias" in name:
            nn.init.zeros_(tensor)
    return model


def digits(count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    loaded = load_digits()
    pixels = torch.tensor(loaded.data[:count] / 16, dtype=torch.float32)
    return pixels.reshape(count, PIXELS, 1), torch.tensor(loaded.target[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--html", type=Path, help="write the report here")
    parser.add_argument("--batch", type=Path, help="write the batch here, and do no more")
    arguments = parser.parse_args()
    images, labels = digits()
    if arguments.batch:
        np.savez(arguments.batch, inputs=images.numpy(), target=labels.numpy())
        return
    torch.manual_seed(0)
    diagnosis = uc.diagnose(popular_lstm(), (images, labels), try_initializers=["remedies"])
    print(diagnosis)
    if arguments.html:
        print(f"\nreport: {diagnosis.to_html(arguments.html)}")


if __name__ == "__main__":
    main()
