"""Lays a flow out as a picture: layers from left to right, every job right of all that it waits for. No I/O.

Layers are the longest paths from the beginning; within a layer nodes stand in the order of the middle of those they
wait for, swept three times, which keeps most lines from crossing (the heuristic of Sugiyama, Tagawa and Toda 1981).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 176, 42  # of a node
GAP_X, GAP_Y, EDGE = 56, 14, 12


@dataclass(frozen=True, slots=True)
class Box:
    """A node in its place."""

    node: Mapping[str, Any]
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes, and the lines between them as path data of SVG."""

    boxes: Sequence[Box]
    lines: Sequence[str]
    width: int
    height: int


def draw(nodes: Sequence[Mapping[str, Any]]) -> Picture:
    """Lay out nodes {id, after: ids of those it waits for}. What waits for one that is not among them is drawn as if it
    did not."""
    known = {node["id"]: node for node in nodes}
    parents = {node["id"]: [parent for parent in node["after"] if parent in known] for node in nodes}
    layers = _layers(parents)
    rows = _rows(layers, parents)
    tallest = max(map(len, layers), default=0)
    places = {
        node: (
            EDGE + depth * (WIDTH + GAP_X),
            EDGE + round((rows[node] + (tallest - len(layer)) / 2) * (HEIGHT + GAP_Y)),
        )
        for depth, layer in enumerate(layers)
        for node in layer
    }
    boxes = [Box(known[node], *places[node]) for layer in layers for node in sorted(layer, key=lambda each: rows[each])]
    lines = [_line(places[parent], places[child]) for child, waits in parents.items() for parent in waits]
    width = 2 * EDGE + len(layers) * (WIDTH + GAP_X) - GAP_X
    return Picture(boxes, lines, max(width, 0), 2 * EDGE + tallest * (HEIGHT + GAP_Y) - GAP_Y)


def _layers(parents: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Return the nodes by the length of the longest way to them; a circle, which cannot be, stands in front."""
    waiting = {node: len(waits) for node, waits in parents.items()}
    children = defaultdict(list)
    for node, waits in parents.items():
        for parent in waits:
            children[parent].append(node)
    depth = dict.fromkeys(parents, 0)
    free = [node for node, count in waiting.items() if not count]
    for node in free:  # grows while it is walked over
        for child in children[node]:
            depth[child] = max(depth[child], depth[node] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                free.append(child)
    layers: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node, at in depth.items():
        layers[at].append(node)
    return layers


def _rows(layers: Sequence[Sequence[int]], parents: Mapping[int, Sequence[int]]) -> dict[int, int]:
    rows = {node: at for layer in layers for at, node in enumerate(layer)}
    children = defaultdict(list)
    for node, waits in parents.items():
        for parent in waits:
            children[parent].append(node)
    for around, order in ((parents, layers), (children, layers[::-1]), (parents, layers)):
        for layer in order:
            middle = {node: _middle(around.get(node, ()), rows, rows[node]) for node in layer}
            order_now = sorted(layer, key=lambda each: (middle[each], rows[each]))
            rows |= {node: at for at, node in enumerate(order_now)}
    return rows


def _middle(neighbours: Sequence[int], rows: Mapping[int, int], own: int) -> float:
    return sum(rows[node] for node in neighbours) / len(neighbours) if neighbours else own


def _line(begin: tuple[int, int], end: tuple[int, int]) -> str:
    x, y = begin[0] + WIDTH, begin[1] + HEIGHT // 2
    to_x, to_y = end[0], end[1] + HEIGHT // 2
    bend = max((to_x - x) // 2, 20)
    return f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"
