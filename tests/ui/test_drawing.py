"""The layout of a flow: everything stands right of what it waits for, and nothing on anything else."""

import random
from typing import Any

from pgqueue.ui.drawing import HEIGHT, WIDTH, draw


def node(number: int, *after: int) -> dict[str, Any]:
    return {"id": number, "after": list(after)}


def places(nodes: list[dict[str, Any]]) -> dict[int, tuple[int, int]]:
    return {box.node["id"]: (box.x, box.y) for box in draw(nodes).boxes}


def test_each_stands_right_of_all_it_waits_for() -> None:
    chance = random.Random(7)
    nodes = [node(i, *chance.sample(range(i), min(i, chance.randint(0, 3)))) for i in range(60)]

    at = places(nodes)

    assert len(at) == 60
    assert all(at[parent][0] + WIDTH < at[each["id"]][0] for each in nodes for parent in each["after"])


def test_no_two_stand_on_each_other_or_outside() -> None:
    nodes = [node(1), *(node(i, 1) for i in range(2, 40)), node(40, *range(2, 40))]

    picture = draw(nodes)
    boxes = [(box.x, box.y) for box in picture.boxes]

    assert len(set(boxes)) == len(boxes)
    for x, y in boxes:
        assert not [other for other in boxes if other[0] == x and 0 < abs(other[1] - y) < HEIGHT]
        assert 0 <= x <= picture.width - WIDTH
        assert 0 <= y <= picture.height - HEIGHT


def test_parallel_chains_do_not_cross() -> None:
    nodes = [node(1), node(2), node(3), node(30, 3), node(10, 1), node(20, 2)]

    at = places(nodes)

    assert at[10][1] < at[20][1] < at[30][1]


def test_what_waits_for_somebody_elsewhere_is_drawn() -> None:
    assert len(draw([node(1, 99)]).boxes) == 1
    assert draw([]).boxes == []
