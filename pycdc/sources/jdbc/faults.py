"""What can be wrong with the columns that guard progress."""

from __future__ import annotations

from pycdc.errors import ServerError


class TrackingFault(ServerError):
    """A tracking column does not fit its table."""

    def __init__(self, key: str, what: str, *, where: str, cause: str = "", hint: str = "") -> None:
        """`key` is the property that mends it."""
        super().__init__(what, where=where, cause=cause, hint=hint)
        self.key = key
