"""How a call ends: right, refused in a sentence, or one of the ways that are wrong."""

import contextlib
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kranking as kr

RIGHT, REFUSED, SKIPPED = "right", "refused", "skipped"
SILENT, NEEDLESS, UNNAMED = "silent difference", "refused though valid", "refused without a name"
BELOW, HANG, CRASH = "traceback from below", "hang", "crash"
WRONG = (SILENT, NEEDLESS, UNNAMED, BELOW, HANG, CRASH)
PACKAGE = str(Path(kr.__file__).parent)


@dataclass
class Call:
    """A call of the public API and what is right about it.

    Attributes:
        kind: Its row in the table.
        fault: The fault that is there if the call ends wrongly.
        what: The call in a few words.
        run: Calls the API.
        right: Returns what is wrong about an answer, or None.
        refusal: Whether a refusal is a `"must"`, right too (`"may"`), or wrong (`"never"`).
        names: A refusal contains one of these; empty to accept any sentence.
        also: Types of documented errors besides ValueError.
    """

    kind: str
    fault: str
    what: str
    run: Callable[[], Any]
    right: Callable[[Any], str | None] = lambda answer: None
    refusal: str = "never"
    names: tuple[str, ...] = ()
    also: tuple[type, ...] = field(default_factory=tuple)


class NotThereError(Exception):
    """A call that an older commit does not have."""


class TooLongError(BaseException):
    """A call past its limit."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises `TooLongError` in the main thread after some seconds."""

    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judge(call: Call, limit: float) -> tuple[str, str]:
    """Runs a call; returns how it ended and what there is to say about it."""
    try:
        with limited(limit):
            answer = call.run()
    except NotThereError as error:
        return SKIPPED, str(error)
    except TooLongError:
        return HANG, f"no end within {limit} s"
    except Exception as error:
        return _refusal(call, error)
    if call.refusal == "must":
        return SILENT, f"taken; {call.right(answer) or short(answer)}"
    wrong = call.right(answer)
    return (SILENT, wrong) if wrong else (RIGHT, "")


def _refusal(call: Call, error: Exception) -> tuple[str, str]:
    text = f"{type(error).__name__}: {error}"
    if not _is_sentence(error, call.also):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return BELOW, f"{text} [{Path(last.filename).name}:{last.lineno}]"
    if call.refusal == "never":
        return NEEDLESS, text
    if call.names and not any(name in str(error) for name in call.names):
        return UNNAMED, f"{text}; expected one of {call.names}"
    return REFUSED, text


def _is_sentence(error: Exception, also: tuple[type, ...]) -> bool:
    """Whether an error is raised by kranking: a plain ValueError, or of a documented type."""
    if not str(error).strip() or not isinstance(error, (ValueError, kr.export.ExportError, *also)):
        return False
    if type(error).__module__.split(".")[0] not in ("builtins", "kranking"):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename.startswith(PACKAGE) and "raise" in (frames[-1].line or "raise")


def short(value: Any) -> str:
    return repr(value)[:200]
