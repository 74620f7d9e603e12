"""Walks the lists of public names: what is on a list is documented, registered and tested."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import keras
import pytest

import kranking as kr

ROOMS = [i.name for i in pkgutil.iter_modules(kr.__path__) if i.ispkg and i.name[0] != "_"]
PUBLIC = [(room, name) for room in ROOMS for name in getattr(kr, room).__all__]
KERAS_CLASSES = (keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric)
CONTRACT = re.compile(r"check_layer\(\s*(\w+)")
TESTS = Path(__file__).parent


def public(room, name):
    return getattr(getattr(kr, room), name)


def is_kind(room, name, kinds):
    thing = public(room, name)
    return inspect.isclass(thing) and issubclass(thing, kinds)


LAYERS = [name for name in kr.layers.__all__ if is_kind("layers", name, keras.layers.Layer)]


def test_every_room_is_listed():
    assert set(ROOMS) | {"RankingModel", "Task"} == set(kr.__all__)
    assert all(inspect.ismodule(getattr(kr, room)) for room in ROOMS)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = kr.nothing


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_what_it_imports(room):
    """A name imported in a room's `__init__` is public: the list and the imports agree."""
    module = importlib.import_module(f"kranking.{room}")
    imported = {n for n, v in vars(module).items() if not n.startswith("_")} - {
        n for n, v in vars(module).items() if inspect.ismodule(v)
    }
    assert imported == set(module.__all__)
    assert len(module.__all__) == len(set(module.__all__))  # the linter keeps each list sorted
    assert module.__doc__


@pytest.mark.parametrize(("room", "name"), PUBLIC)
def test_documented(room, name):
    thing = public(room, name)
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return  # a constant: the comment beside it
    text = inspect.getdoc(thing)
    assert text
    assert "\n" not in text.split("\n\n")[0], "the first paragraph is one line"
    assert thing.__doc__ is not None, "a base class's text does not speak for the class"


@pytest.mark.parametrize(("room", "name"), PUBLIC)
def test_members_are_documented(room, name):
    """Every public method but those that Keras defines: `call`, `build`, …"""
    thing = public(room, name)
    bases = (*KERAS_CLASSES, keras.utils.PyDataset, keras.callbacks.Callback)
    for member, value in vars(thing).items() if inspect.isclass(thing) else ():
        own = inspect.isroutine(value) or isinstance(value, property)
        if own and not member.startswith("_") and not any(hasattr(base, member) for base in bases):
            assert inspect.getdoc(value), f"{name}.{member}"


@pytest.mark.parametrize(("room", "name"), PUBLIC)
def test_registered_under_its_own_name(room, name):
    if is_kind(room, name, KERAS_CLASSES):
        cls = public(room, name)
        assert keras.saving.get_registered_name(cls) == f"kranking>{name}"
        assert keras.saving.get_registered_object(f"kranking>{name}") is cls


@pytest.mark.parametrize("name", LAYERS)
def test_layer_has_an_example(name):
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(public("layers", name)) or "")
    assert any(name in example.source for example in examples)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_has_a_contract_case(name):
    """`check_layer` is called with the class by name, somewhere in the tests of its room."""
    texts = (path.read_text("utf-8") for path in (TESTS / "layers").rglob("test_*.py"))
    assert name in {match[1] for text in texts for match in CONTRACT.finditer(text)}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_says_its_work(name):
    assert callable(getattr(public("layers", name), "work", None))


@pytest.mark.parametrize("name", kr.architectures.names())
def test_architecture_is_public(name):
    row = kr.architectures.get(name)
    assert getattr(kr.architectures, name) is row.build
    parameters = inspect.signature(row.build).parameters
    for hyperparameter in row.hyperparameters:
        assert parameters[hyperparameter.name].default == hyperparameter.default
