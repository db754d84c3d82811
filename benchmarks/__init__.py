"""Every speed claim of the project, measured beside its baseline in one run: ``make bench``."""
