import io

from efficient360.benchmark.progress import ProgressMeter


def test_time_left_follows_from_the_steps_done():
    now = [0.0]
    out = io.StringIO()
    meter = ProgressMeter(out, clock=lambda: now[0])
    meter.expect(10)
    meter.step("converting")
    now[0] = 20.0
    told = meter.part("measuring", 4)
    now[0] = 40.0
    told(1, 2)
    now[0] = 80.0
    meter.step("next")
    lines = out.getvalue().splitlines()
    assert lines == [
        "10 steps to do",
        "converting (0 of 10)",
        "measuring (1 of 10, about 3 min 00 s left)",
        "measuring, 1/2 (3 of 10, about 1 min 33 s left)",
        "next (5 of 10, about 1 min 20 s left)",
    ]


def test_nothing_to_do_is_told():
    out = io.StringIO()
    ProgressMeter(out).expect(0)
    assert out.getvalue() == "nothing left to measure\n"
