"""Make ``popular-lstm.safetensors``: an untrained LSTM initialized the way that is popular, and wrong.

    pip install 'unitcircle[torch,experiments]'
    python examples/make_popular_lstm.py

``orthogonal_`` on the stacked recurrent weight makes the stack of four gates orthogonal, and no gate.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file


def main() -> None:
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(8, 64, num_layers=2)
    for name, tensor in lstm.named_parameters():
        if "weight_hh" in name:
            torch.nn.init.orthogonal_(tensor)
        elif "bias" in name:
            torch.nn.init.zeros_(tensor)
    path = Path(__file__).with_name("popular-lstm.safetensors")
    save_file({f"lstm.{name}": tensor for name, tensor in lstm.state_dict().items()}, path)
    print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
