"""
Does one initializer train better than another?
===============================================

One run proves nothing, and neither do five runs at a learning rate that suits one of the two. This tutorial
runs a small study: each initializer at its own best learning rate, paired seeds, and the reference twice to see
the noise.

You need the extra ``experiments``, ``pip install ".[experiments]"`` in a checkout. The script takes half a minute
on one core.
"""

import tempfile
from pathlib import Path

from matplotlib import pyplot as plt

from unitcircle.experiments.comparison import compare, plot_learning_curves, plot_seeds, study_sentences
from unitcircle.experiments.studies import Store, Study, execute

# %%
# The study is a file
# -------------------
# It lists what is compared, on what, and with how many seeds. The task here is the cheapest there is, a linear
# map learned by a stack of 16 layers; :doc:`/tasks` lists the others, such as copying and adding over a delay,
# and how to bring your own data.

TEXT = """
name = "first"
reference = "Xavier"
seeds = 8
tuning_seeds = 2

[initializers]
"Xavier" = "xavier_normal"
"orthogonal" = "orthogonal"
"orthogonal, gain 0.9" = "orthogonal(gain=0.9)"

[[experiment]]
title = "a linear map, 16 layers deep"
task = "deep_linear_map(size=32)"
cells = ["stack(depth=16)"]
sizes = [32]
learning_rates = [0.1, 0.3]
optimizer = "sgd"
rank_by = "steps"
steps = 60
evaluate_every = 1
patience = 1
"""
folder = Path(tempfile.mkdtemp())
file = folder / "first.toml"
_ = file.write_text(TEXT)
print(f"wrote {file.name}")

# %%
# Run it
# ------
# In a terminal: ``unitcircle study run first.toml``. Here, in this process. What has been trained is kept in the
# folder, so that a second call resumes.

study = Study.load(file)
outcome = execute(study, folder / "first", engine="here")
print(f"{outcome.ended} runs ended, {outcome.left} are left")

# %%
# What follows
# ------------
# A row is called better or worse only if a paired test, corrected for the number of rows, and the interval of the
# difference agree. The row "(again)" is the reference with other random draws: what it differs by is noise.

comparison = compare(study, Store(folder / "first").get)
(group,) = comparison.groups
for sentence in study_sentences(group, comparison):
    print(sentence)
for row in group.rows:
    print(f"{row.label:22} median {row.median_steps:g} steps, at learning rate {row.learning_rate:g}")

# %%
# Each dot is a seed, and each curve the mean over the seeds.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
plot_seeds(group, ax=axes[0])
plot_learning_curves(group, ax=axes[1])

# %%
# Where to go
# -----------
# ``unitcircle study compare first --html report.html`` makes a page of it. :doc:`/studies` explains the
# statistics, and :doc:`/clusters` trains on many machines.
