"""Loads modules of kranking from other text, in this process and in every Python that it starts.

A copy of this file is the `sitecustomize.py` of child processes, so it imports the standard library only.
`MUTATION` in the environment names a JSON file: `files` maps a module's name to the path of its text, and
`hits` is the file to which child processes append the blocks that they run (empty: none are counted).
"""

import builtins
import json
import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

VARIABLE = "MUTATION"
RAN = "__ran__"  # instrumented text calls it with the block that begins


class OtherText(SourceFileLoader):
    """Compiles a module from another file; AutoGraph, which reads a function's text, reads that one too."""

    def __init__(self, name, path, text_path):
        super().__init__(name, path)
        self.text_path = text_path

    def get_code(self, fullname):
        """Returns the module's code, neither read from nor written to a cache of bytecode."""
        return compile(Path(self.text_path).read_bytes(), self.text_path, "exec", dont_inherit=True)


class Finder:
    """Finds modules where Python finds them, with a loader that reads the other text."""

    def __init__(self, files):
        self.files = files

    def find_spec(self, name, path=None, target=None):
        """Returns the module's spec, or None for a module that is left alone."""
        if name not in self.files:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = OtherText(name, spec.origin, self.files[name])
        return spec


def install(settings, ran):
    """Puts the finder first, and `ran` where instrumented text looks for it."""
    sys.meta_path.insert(0, Finder(settings["files"]))
    setattr(builtins, RAN, ran)


def append_once(path):
    """Returns a function that appends each block to a file when it runs for the first time."""
    seen = set()
    file = os.open(path or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def ran(block):
        if block not in seen:
            seen.add(block)
            os.write(file, f"{block}\n".encode())

    ran.autograph_info__ = {}  # AutoGraph calls it as it is
    return ran


if __name__ == "sitecustomize" and os.environ.get(VARIABLE):
    _settings = json.loads(Path(os.environ[VARIABLE]).read_text("utf-8"))
    install(_settings, append_once(_settings["hits"]))
