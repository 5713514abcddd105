import re
import tracemalloc
from collections import Counter

import pytest

from lm_eval_cachesteer.errors import ArgumentError
from lm_eval_cachesteer.sweep.grid import MOST_CELLS, Axis, cells, draw, parse_axis, size


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("c_values=0:1:0.1", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        ("c_values=2:10:2", (2.0, 4.0, 6.0, 8.0, 10.0)),
        ("c_values=0:1:0.3", (0.0, 0.3, 0.6, 0.9)),  # the last number is reached only by whole steps
        ("c_values=1:-1:-0.5", (1.0, 0.5, 0.0, -0.5, -1.0)),
        ("c_values=3:3:1", (3.0,)),
        ("c_keys=0,0.1,.3,1e-2", (0.0, 0.1, 0.3, 0.01)),
        ("c_keys=5,0:1:0.5,2", (5.0, 0.0, 0.5, 1.0, 2.0)),
        ("c_keys=1,1.0,0:1:1", (1.0, 0.0)),
        ("layers=1-,10-20", ("1-", "10-20")),
        ("layers=1+4+7-9,3", ("1+4+7-9", "3")),
        ("heads=all,5", ("all", 5)),
        ("heads=2:6:2", (2, 4, 6)),
        ("position=-1,-2,-1", (-1, -2)),
        ("vectors=stepwise,0.5*stepwise", ("stepwise", "0.5*stepwise")),
    ],
)
def test_axes(text, values):
    axis = parse_axis(text)
    assert axis == Axis(text.partition("=")[0], values)
    assert [type(value) for value in axis.values] == [type(value) for value in values]


KNOWN = "Allowed: c_keys, c_values, heads, position, vectors, layers; for example c_values=2:10:2"
NO_NUMBER = "is neither a number nor FIRST:LAST:STEP. Try c_values=2:10:2"
STEP = "1 to 10000 were expected. The step must lead from the first number to the last."


@pytest.mark.parametrize(
    ("text", "named", "remedy"),
    [
        ("c_value=1", "'c_value=1'", KNOWN),
        ("c_values", "'c_values'", KNOWN),
        ("c_values=", "'c_values='", KNOWN),
        ("=1", "'=1'", KNOWN),
        ("answer_tokens=1,2", "'answer_tokens=1,2'", KNOWN),
        ("c_values=two", "'two'", NO_NUMBER),
        ("c_values=1,,2", "''", NO_NUMBER),
        ("c_values=nan", "'nan'", NO_NUMBER),
        ("c_values=inf", "'inf'", NO_NUMBER),
        ("c_values=1:2", "'1:2'", NO_NUMBER),
        ("c_values=1:2:3:4", "'1:2:3:4'", NO_NUMBER),
        ("c_values=0:x:1", "'0:x:1'", NO_NUMBER),
        ("heads=some", "'some'", NO_NUMBER),
        ("c_values=0:1:0", "'0:1:0' holds 0 values", STEP),
        ("c_values=10:2:2", "'10:2:2' holds 0 values", STEP),
        ("c_values=2:1.5:1", "'2:1.5:1' holds 0 values", STEP),  # less than a step, but the wrong way
        ("c_values=0:1:0.0001", "'0:1:0.0001' holds 10001 values", STEP),
        ("heads=1.5", "1.5", "heads must be a whole number"),
        ("position=-1:0:0.5", "-0.5", "position must be a whole number"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(text, named, remedy):
    with pytest.raises(ArgumentError) as raised:
        parse_axis(text)
    message = str(raised.value)
    assert message.startswith("--grid ")
    assert named in message
    assert remedy in message
    assert "\n" not in message


def test_cells_are_every_combination_the_last_axis_fastest():
    axes = [parse_axis("c_values=2,4"), parse_axis("layers=1-,8-,all")]
    assert cells(axes) == [
        {"c_values": 2.0, "layers": "1-"},
        {"c_values": 2.0, "layers": "8-"},
        {"c_values": 2.0, "layers": "all"},
        {"c_values": 4.0, "layers": "1-"},
        {"c_values": 4.0, "layers": "8-"},
        {"c_values": 4.0, "layers": "all"},
    ]


def test_an_axis_is_given_once():
    axes = [parse_axis(text) for text in ("layers=1-", "heads=1", "layers=8-")]
    with pytest.raises(ArgumentError, match=re.escape("--grid names layers twice. List all values in one --grid.")):
        cells(axes)


AXES = [parse_axis("c_values=1:10:1"), parse_axis("heads=1:10:1")]


def numbers(settings):
    """The places of settings in the grid of `AXES`, worked out by hand."""
    return [10 * int(setting["c_values"] - 1) + setting["heads"] - 1 for setting in settings]


def test_a_draw_is_a_part_that_a_seed_draws_again_and_more_extend():
    drawn = {count: numbers(draw(AXES, count, seed=7)) for count in range(1, 101)}
    for count, found in drawn.items():
        assert found == sorted(set(found))
        assert len(found) == count
        assert set(found) <= set(drawn[min(100, count + 1)])
    assert draw(AXES, 12, seed=7) == [cells(AXES)[i] for i in drawn[12]]
    assert draw(AXES, 500, seed=7) == cells(AXES)
    assert len({tuple(numbers(draw(AXES, 12, seed=seed))) for seed in range(10)}) == 10


def test_every_combination_is_as_likely():
    drawn = Counter(number for seed in range(2000) for number in numbers(draw(AXES, 5, seed)))
    # 100 expected of each; the standard deviation is below 10, so that 5 of them are one chance in a million.
    assert set(drawn) == set(range(100))
    assert all(50 <= count <= 150 for count in drawn.values())


# 10,000 to the power of 4 combinations: no machine could list them.
HUGE = [parse_axis(f"{name}=1:10000:1") for name in ("c_keys", "c_values", "heads", "position")]


def test_a_draw_from_a_grid_beyond_all_lists_is_small():
    tracemalloc.start()
    drawn = draw(HUGE, 50, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size(HUGE) == 10**16
    assert peak < 1_000_000
    assert len({tuple(setting.values()) for setting in drawn}) == 50
    assert all(list(setting) == ["c_keys", "c_values", "heads", "position"] for setting in drawn)
    assert all(setting in draw(HUGE, 51, seed=1) for setting in drawn)
    assert len({setting["c_keys"] for setting in drawn}) > 40  # from all over the grid


def test_more_settings_than_can_be_tried_are_refused_before_they_are_listed():
    tracemalloc.start()
    with pytest.raises(ArgumentError, match=f"--grid asks for {10**16} settings; at most {MOST_CELLS} can be tried. "):
        cells(HUGE)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    with pytest.raises(ArgumentError, match=r"Give fewer values, or .* with --random N\."):
        cells([parse_axis("c_values=1:101:1"), parse_axis("heads=1:100:1")])
    assert len(cells([parse_axis("c_values=1:100:1"), parse_axis("heads=1:100:1")])) == MOST_CELLS
    with pytest.raises(ArgumentError, match=f"--random {MOST_CELLS + 1} is too many"):
        draw(HUGE, MOST_CELLS + 1, seed=0)
    assert len(draw(AXES, MOST_CELLS + 1, seed=0)) == 100


def test_a_draw_is_of_axes_given_once():
    with pytest.raises(ArgumentError, match="--grid names heads twice"):
        draw([parse_axis("heads=1"), parse_axis("heads=2")], 1, seed=0)
