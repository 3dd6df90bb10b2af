"""JSON on standard output, and nothing else there."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator


def print_json(data: object) -> None:
    """Print as one JSON document; letters that the output's encoding lacks are escaped.

    Raises:
        ValueError: NaN or infinity in it, which JSON does not know.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # Also half of a file name that is no text.
        text = json.dumps(data, indent=2, allow_nan=False)
    print(text)


@contextlib.contextmanager
def nothing_on_stdout(asked: bool = True) -> Iterator[None]:
    """Send what libraries print meanwhile, those in C as well, to standard error: a program reads standard output.

    Args:
        asked: False to change nothing.
    """
    if not asked:
        yield
        return
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        # Closed by whoever started us: nobody reads it.
        yield
        return
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _flush_c()
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c() -> None:
    """C keeps what it prints into a pipe until its buffer is full: it would come after standard output is back."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)
