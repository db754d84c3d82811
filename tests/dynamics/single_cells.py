"""One small cell of every kind that has a scan."""

from torch import nn

CELLS = {
    "tanh": lambda: nn.RNN(2, 5),
    "relu": lambda: nn.RNN(2, 5, nonlinearity="relu"),
    "gru": lambda: nn.GRU(2, 5),
    "lstm": lambda: nn.LSTM(2, 5),
    "projected": lambda: nn.LSTM(2, 5, proj_size=3),
}
