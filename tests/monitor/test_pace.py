"""When a monitor measures, on a clock that the test moves."""

from itertools import pairwise

import pytest

from unitcircle.monitor import _pace
from unitcircle.monitor._pace import MARGIN, Pace


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    made = Clock()
    monkeypatch.setattr(_pace, "perf_counter", made)
    return made


def _train(pace, clock, steps, *, step_s, cost_s, seldom_s=0.0, seldom_every=10):
    """Measure when it is time, as a monitor does."""
    measured = []
    for _ in range(steps):
        call = pace.call()
        if call == pace.due - 1:
            pace.put_off()
        elif call == pace.due:
            seldom = seldom_s if pace.measurements % seldom_every == 0 and pace.affords(seldom_s) else 0.0
            with pace.spending():
                clock.now += cost_s + seldom
            pace.note(cost_s + seldom, seldom)
            measured.append(call)
            if pace.due == call + 1:
                pace.put_off()
        clock.now += step_s
    return measured


def test_cheap_measurements_keep_to_the_interval_asked(clock):
    pace = Pace(every=10, overhead=0.01)
    assert _train(pace, clock, 101, step_s=1.0, cost_s=1e-3) == list(range(0, 101, 10))


def test_all_of_the_time_as_overhead_puts_nothing_off(clock):
    pace = Pace(every=1, overhead=1.0)
    assert _train(pace, clock, 50, step_s=0.01, cost_s=1.0) == list(range(50))


@pytest.mark.parametrize("every", [1, 7, 100])
@pytest.mark.parametrize("overhead", [0.01, 0.1])
@pytest.mark.parametrize("cost", [0.02, 0.5, 3.0])
def test_dear_measurements_are_put_off_until_they_fit(clock, every, overhead, cost):
    pace = Pace(every=every, overhead=overhead)
    measured = _train(pace, clock, 20_000, step_s=0.1, cost_s=cost)
    assert len(measured) > 1
    assert pace.cost().share <= MARGIN * overhead
    assert pace.spent == pytest.approx(cost * len(measured))
    assert min(b - a for a, b in pairwise(measured)) >= every
    # Nothing is seldom: all of the share is used.
    if every * 0.1 * overhead < cost / 4:
        assert pace.cost().share > 0.7 * overhead


def test_what_is_seldom_has_its_turn(clock):
    pace = Pace(every=1, overhead=0.02)
    pace.reserving = True
    _train(pace, clock, 30_000, step_s=0.1, cost_s=0.05, seldom_s=2.0)
    assert pace.seldom >= 2 * 2.0
    assert pace.cost().share <= 0.02


@pytest.mark.parametrize(("reserving", "share"), [(True, 0.5), (False, 1.0)])
def test_half_is_kept_only_where_something_is_seldom(clock, reserving, share):
    pace = Pace(every=1, overhead=0.5)
    pace.reserving = reserving
    _train(pace, clock, 5000, step_s=0.01, cost_s=0.01)
    assert pace.cost().share == pytest.approx(MARGIN * 0.5 * share, rel=0.02)


def test_it_adapts_when_steps_become_faster(clock):
    pace = Pace(every=10, overhead=0.01)
    _train(pace, clock, 500, step_s=1.0, cost_s=0.04)
    assert pace.cost().interval == 10
    _train(pace, clock, 500_000, step_s=1e-3, cost_s=0.05)
    assert pace.cost().share <= 0.01
    assert pace.cost().interval > 1000


def test_it_goes_on_after_a_resume(clock):
    whole, first = Pace(10, 0.01), Pace(10, 0.01)
    whole.reserving = first.reserving = True
    measured = _train(whole, clock, 1000, step_s=0.1, cost_s=0.05)
    clock.now = 100.0
    begun = _train(first, clock, 500, step_s=0.1, cost_s=0.05)
    saved = first.state_dict()
    clock.now += 1e6  # the night between
    second = Pace(10, 0.01)
    second.load_state_dict(saved)
    assert second.elapsed == pytest.approx((first.calls - 1) * 0.1 + first.spent)
    assert second.reserving
    resumed = begun + _train(second, clock, 500, step_s=0.1, cost_s=0.05)
    # The step that the checkpoint ended is on neither clock: one measurement may be put off once more, by a tenth.
    assert len(resumed) == len(measured)
    assert all(0 <= b - a <= 11 for a, b in zip(measured, resumed, strict=True))
    assert second.cost().calls == 1000


def test_steps_that_are_not_measured_are_counted_too(clock):
    pace = Pace(every=1000, overhead=0.01)
    for _ in range(100):
        pace.call()
        clock.now += 0.001
        pace.end_call()
        clock.now += 0.099
    assert pace.spent == pytest.approx(0.1)
    assert pace.cost().share == pytest.approx(0.01, rel=0.02)
    assert not pace.affords(0.01)


def test_the_cost_is_a_sentence(clock):
    pace = Pace(10, 0.5)
    _train(pace, clock, 21, step_s=0.1, cost_s=0.01)
    assert str(pace.cost()) == (
        "monitor: 3 measurements in 21 steps, 0.03 s, 1.48% of the time; the last interval was 10 steps"
    )
