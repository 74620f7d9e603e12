"""The picture of a model's wiring."""

from xml.etree import ElementTree

import keras
import pytest

from kranking.features import Categorical, Numeric, Task
from kranking.layers import (
    DHEN,
    MLP,
    Concatenate,
    CrossNetwork,
    LinearTerm,
    Parallel,
    Residual,
    TokenLinear,
)
from kranking.models import RankingModel, wiring

FEATURES = [
    Categorical("a<b", hash_buckets=5, embedding_dim=4),
    Categorical("c", hash_buckets=5, embedding_dim=4),
    Numeric("n", mean=0.0, std=1.0),
]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(*blocks, heads=None):
    model = RankingModel(FEATURES, blocks, [Task("save & more")], heads=heads, name="x<y")
    return ElementTree.fromstring(wiring(model))


def texts(*blocks, heads=None):
    root = drawn(*blocks, heads=heads)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for box in root.iter(f"{SVG}rect"):
        right = float(box.attrib.get("x", 0)) + float(box.attrib["width"])
        bottom = float(box.attrib.get("y", 0)) + float(box.attrib["height"])
        assert right <= width + 1e-6
        assert bottom <= height + 1e-6
    return [element.text for element in root.iter(f"{SVG}text")]


def test_a_chain_shows_each_layer_with_its_width():
    found = texts(CrossNetwork(2), MLP([5]))
    assert found == [
        *("fields", "flat 9", "CrossNetwork", "9", "MLP", "5"),
        *("SharedBottom", "1", "tasks", "save & more"),
    ]


def test_branches_show_their_views_and_how_they_are_merged():
    deep = keras.Sequential([MLP([5]), keras.layers.Dense(1)])
    found = texts(Parallel([LinearTerm(), deep], merge="sum"), heads=keras.layers.Identity())
    assert found[1] == "linear 3 × 1, flat 9"
    for text in ("linear", "LinearTerm", "flat", "MLP", "Dense", "sum", "Identity"):
        assert text in found


def test_containers_show_what_they_hold():
    found = texts(Residual(CrossNetwork(1)), MLP([4]))
    assert "+ input" in found
    assert "CrossNetwork" in found
    found = texts(DHEN([[TokenLinear(3), CrossNetwork(1)]], ensemble="sum"))
    assert found.count("TokenLinear") == found.count("CrossNetwork") == 1
    assert "sum, + shortcut" in found


def test_numbers_in_mid_stack_show_as_views():
    numbers = keras.Sequential([Concatenate(("numeric",)), MLP([2])])
    found = texts(MLP([5]), Parallel([keras.layers.Identity(), numbers]))
    assert found[found.index("views") + 1] == "as it is: 5, numeric 1"
    assert found.count("numeric") == 1


def place(element):
    return [float(element.attrib[name]) for name in ("x", "y", "width", "height")]


def inside(inner, outer):
    (x, y, width, height), (left, top, room, depth) = inner, outer
    return left <= x and x + width <= left + room and top <= y and y + height <= top + depth


def apart(first, second):
    (x, y, width, height), (left, top, room, depth) = first, second
    return x + width <= left or left + room <= x or y + height <= top or top + depth <= y


@pytest.mark.once
@pytest.mark.parametrize(
    "blocks",
    [
        [Parallel([LinearTerm(), keras.Sequential([MLP([5]), MLP([1])])], merge="sum")],
        [Residual(CrossNetwork(1)), MLP([4])],
        [DHEN([[TokenLinear(3), CrossNetwork(1)]], ensemble="sum")],
    ],
    ids=["branches", "residual", "dhen"],
)
def test_boxes_are_nested_or_apart_and_hold_their_texts(blocks):
    root = drawn(*blocks)
    boxes = [place(box) for box in root.iter(f"{SVG}rect") if "x" in box.attrib]
    for index, box in enumerate(boxes):
        for other in boxes[:index]:
            assert inside(box, other) or apart(box, other)
            if inside(box, other) and box != other:
                assert other[0] + 8 <= box[0] + 1e-3, "frames leave room around their parts"
                assert box[0] + box[2] <= other[0] + other[2] - 8 + 1e-3
    for text in root.iter(f"{SVG}text"):
        length, anchor = 6.4 * len(text.text), text.attrib.get("text-anchor", "start")
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        left = x - {"start": 0, "middle": 0.5, "end": 1}[anchor] * length
        line = [left, y - 8, length, 8]
        if anchor == "start":  # a view's name, left of its branch
            assert all(apart(line, box) or inside(line, box) for box in boxes)
            assert all(left + length != box[0] for box in boxes)
        else:
            assert any(inside(line, box) for box in boxes)
        if anchor == "middle":
            assert any(abs(x - box[0] - box[2] / 2) < 1e-3 for box in boxes)
