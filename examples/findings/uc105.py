"""Never ignore it: one number that is not finite makes every output so."""

import torch

PICTURE = "matrix"


def before():
    torch.manual_seed(0)
    rnn = torch.nn.RNN(4, 48)
    torch.nn.init.orthogonal_(rnn.weight_hh_l0)
    rnn.weight_hh_l0.data[10:14, 20:24] = float("nan")  # a training step that overflowed
    return rnn


def after():
    torch.manual_seed(0)
    rnn = torch.nn.RNN(4, 48)
    torch.nn.init.orthogonal_(rnn.weight_hh_l0)  # from the last checkpoint that is finite
    return rnn
