"""Never ignore it: training cannot recover from a value that is not finite."""

from subjects.watched import run

PICTURE = "run"
METRIC = "norm"


def before():
    def overflow(weight, step):
        weight.mul_(1.2)
        if step == 9:
            weight.fill_(float("nan"))
        return 1.0

    return run(overflow)


def after():
    def hold(_weight, _step):
        return 1.0  # from the last checkpoint that is finite, with a smaller rate or clipping

    return run(hold)
