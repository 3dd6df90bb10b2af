"""What a new file or folder may be read by, as the user set it."""

from __future__ import annotations

import os


def umask() -> int:
    """The permissions that new files are made without. It can only be read by setting it, which is undone at once."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
