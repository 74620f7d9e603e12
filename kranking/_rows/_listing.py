"""Listing of the files below a folder, and of those that match a pattern."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import translate

import pyarrow.fs as pafs


def files_below(
    filesystem: pafs.FileSystem, folders: Iterable[str], suffixes: tuple[str, ...]
) -> list[str]:
    """Returns the visible files below some folders with one of the suffixes.

    Raises:
        ValueError: If symbolic links lead to a folder twice, as one to a folder above does, or to nothing,
            or a file is a pipe or device.
    """
    found, seen = [], {}
    for folder in folders:
        start = len(folder.rstrip("/"))
        for path, kind in _below(filesystem, folder, seen):
            if path.lower().endswith(suffixes) and _is_visible(path[start:]):
                if kind == pafs.FileType.NotFound:
                    raise ValueError(
                        f"A symbolic link must lead to a file. Received: {path!r}, which leads to nothing"
                    )
                if kind == pafs.FileType.Unknown:
                    raise no_file(path)
                if kind == pafs.FileType.File:
                    found.append(path)
    return found


def glob_paths(filesystem: pafs.FileSystem, pattern: str) -> tuple[str, list[str]]:
    """Returns the part of a pattern before its first special character, and the paths that match it.

    A hidden file or folder matches a pattern in which some part begins with the same `_` or `.`.
    """
    fixed = pattern[: re.search(r"[^/]*[*?\[]", pattern).start()]  # pyright: ignore
    parts = pattern[len(fixed) :].split("/")
    asked = "".join({part[:1] for part in parts} & {"_", "."})
    if isinstance(filesystem, pafs.LocalFileSystem) and "**" not in parts:
        found = glob.glob(pattern)
    else:
        paths = (path for path, _ in _below(filesystem, fixed, {}, asked))
        found = list(filter(_regex(parts, fixed).fullmatch, paths))
    return fixed, [path for path in found if _is_visible(path[len(fixed) :], asked)]


def check_different(files: Iterable[str]) -> None:
    """Raises `ValueError` if a local file is listed again through a symbolic link.

    Links to one file that is not listed itself, as in a content store, are files of equal contents.
    """
    folders, first = {}, {}
    for file in files:
        folder, name = os.path.split(file)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        linked = os.path.islink(file)
        real = os.path.realpath(file) if linked else os.path.join(folders[folder], name)
        other, both = first.setdefault(real, (file, linked))
        if other != file and not (linked and both):
            raise _twice(file, other)


def no_file(path: str) -> ValueError:
    """Returns the error for a pipe or device, which would be waited for or read without an end."""
    return ValueError(
        f"`paths` must be files and folders, which can be read again. Received: {path!r}, a pipe or device"
    )


def _twice(path: str, other: str) -> ValueError:
    return ValueError(
        "Symbolic links must not lead to the same rows twice. Received: "
        f"{path!r} and {other!r}, which are both {os.path.realpath(path)!r}. Remove the link, or pass a "
        "list of the paths to read"
    )


def _below(
    filesystem: pafs.FileSystem, folder: str, seen: dict[str, str], asked: str = ""
) -> Iterator[tuple[str, pafs.FileType]]:
    if isinstance(filesystem, pafs.LocalFileSystem):
        yield from _walk(folder, seen, asked)
        return
    selector = pafs.FileSelector(folder.rstrip("/"), recursive=True, allow_not_found=True)
    for info in filesystem.get_file_info(selector):
        yield info.path, info.type


def _walk(folder: str, seen: dict[str, str], asked: str) -> Iterator[tuple[str, pafs.FileType]]:
    """Yields what is visible below a local folder and its type, each folder once.

    Arrow and `glob` follow links into the folders that they come from, until the name is too long for the
    system: two such links are more paths than a process can list.

    Args:
        folder: The folder.
        seen: The path of each folder that was listed, by its real path.
        asked: First characters of hidden files that are visible here.
    """
    pending = [folder]
    while pending:
        path = pending.pop()
        real = os.path.realpath(path)
        if real in seen:
            if seen[real].rstrip("/") == path.rstrip("/"):
                continue  # below another folder that was asked for
            raise _twice(path, seen[real])
        seen[real] = path
        with os.scandir(path or ".") as entries:
            visible = [entry for entry in entries if _is_visible(entry.name, asked)]
            kinds = sorted((entry.name, entry.is_dir(), entry.is_file()) for entry in visible)
        for name, is_folder, is_file in kinds:
            below = f"{path.rstrip('/')}/{name}" if path else name
            if is_folder:
                yield below, pafs.FileType.Directory
                pending.append(below)
            elif is_file:
                yield below, pafs.FileType.File
            else:
                there = os.path.exists(below)
                yield below, pafs.FileType.Unknown if there else pafs.FileType.NotFound


def _is_visible(path: str, asked: str = "") -> bool:
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return all(part[0] not in "_." or part[0] in asked for part in parts)


def _regex(parts: list[str], fixed: str) -> re.Pattern:
    """Returns the regular expression of a pattern; `**` is any number of folders."""
    text = "/".join("**" if p == "**" else translate(p)[4:-3].replace(".*", "[^/]*") for p in parts)
    text = text.replace("**/", "(?:.*/)?").replace("**", ".*")
    return re.compile(re.escape(fixed) + text, re.DOTALL)
