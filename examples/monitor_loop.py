"""Monitor a plain training loop; then: unitcircle watch out/loop.jsonl --html out/loop.html

The run is so short that half of its time may go into measuring (overhead=0.5; the default is 1 %).

pip install 'unitcircle[torch]'
"""

import torch
from torch import nn

import unitcircle as uc

torch.manual_seed(0)
rnn, readout = nn.RNN(2, 64), nn.Linear(64, 1)
model = nn.ModuleDict({"rnn": rnn, "readout": readout})
uc.torch.initialize_(model, recurrent="orthogonal", rng=0)
optimizer = torch.optim.Adam(model.parameters(), 3e-3)
with uc.monitor.Monitor(model, every=10, overhead=0.5, sinks=["out/loop.jsonl"]) as monitor:
    for step in range(300):
        values, marks = torch.rand(30, 32), torch.zeros(30, 32)
        marks[torch.randint(15, (32,)), range(32)] = marks[torch.randint(15, 30, (32,)), range(32)] = 1.0
        output = readout(rnn(torch.stack([values, marks], -1))[0][-1])[:, 0]
        loss = (output - (values * marks).sum(0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        monitor.step(step, loss)
        optimizer.step()
print(f"loss {loss.item():.3f}")
print(monitor.report())
