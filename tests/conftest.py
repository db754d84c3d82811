"""Test settings shared by all: property tests draw the same examples on every run and every machine."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("fixed")
