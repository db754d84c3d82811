"""Experiments: which initializer trains which network best, asked so that the answer can be trusted."""
