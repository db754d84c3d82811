"""Make ``digits-gru.safetensors``: a GRU that reads scikit-learn's handwritten digits row by row.

    pip install 'unitcircle[torch,experiments]'
    python examples/train_digits_gru.py

1,797 images of 8×8 pixels, 8 time steps of 8 pixels; 64 units, a linear readout of the last state. Trained on 1,297
images for 60 epochs with Adam; the 500 others are the test set. Takes half a minute on one core.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits


class DigitsGRU(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.GRU(8, 64, batch_first=True)
        self.readout = torch.nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.readout(self.rnn(images)[1][0])


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    train, test = order[:1297], order[1297:]
    model = DigitsGRU()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        for batch in train[torch.randperm(len(train))].split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    accuracy = (model(images[test]).argmax(1) == labels[test]).float().mean().item()
    path = Path(__file__).with_name("digits-gru.safetensors")
    save_file(model.state_dict(), path, metadata={"task": "digits, row by row", "test_accuracy": f"{accuracy:.3f}"})
    print(f"test accuracy {accuracy:.3f}; wrote {path.name}")


if __name__ == "__main__":
    main()
