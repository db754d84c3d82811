"""Monitor a Hugging Face Trainer: the numbers join its logs.

The run is so short that half of its time may go into measuring (overhead=0.5; the default is 1 %).

pip install 'unitcircle[torch]' transformers accelerate
"""

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

import unitcircle as uc


class Sums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.readout = nn.LSTM(1, 32, batch_first=True), nn.Linear(32, 1)

    def forward(self, x, labels):
        output = self.readout(self.rnn(x)[0][:, -1])
        return {"loss": (output - labels).square().mean(), "logits": output}


inputs = torch.rand(512, 20, 1, generator=torch.Generator().manual_seed(0))
data = [{"x": x, "labels": x.mean(0)} for x in inputs]
options = {"per_device_train_batch_size": 16, "num_train_epochs": 2, "logging_steps": 32, "learning_rate": 3e-3}
args = TrainingArguments("out/hf", report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True, **options)
trainer = Trainer(model=Sums(), args=args, train_dataset=data)
callback = uc.monitor.attach(trainer, every=10, overhead=0.5, sinks=["out/hf.jsonl"])
trainer.train()
print(callback.monitor.report())
