"""Monitor a Lightning trainer: the numbers go to its loggers.

The run is so short that half of its time may go into measuring (overhead=0.5; the default is 1 %).

pip install 'unitcircle[torch]' lightning
"""

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import unitcircle as uc


class Sums(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.readout = nn.GRU(1, 32, batch_first=True), nn.Linear(32, 1)

    def training_step(self, batch, _index):
        x, y = batch
        return (self.readout(self.rnn(x)[0][:, -1]) - y).square().mean()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 3e-3)


x = torch.rand(512, 20, 1, generator=torch.Generator().manual_seed(0))
data = DataLoader(TensorDataset(x, x.mean(1)), batch_size=16)
logger = pl.loggers.CSVLogger("out", name="lightning")
callback = uc.monitor.LightningCallback(every=10, overhead=0.5, sinks=["out/lightning.jsonl"])
quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
pl.Trainer(max_epochs=3, accelerator="cpu", logger=logger, callbacks=[callback], **quiet).fit(Sums(), data)
print(callback.monitor.report())
