"""What goes wrong inside the fake, by who says it: a BE's converter, a load, the FE's REST layer, SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pycdc.testing.starrocks.storage import Batch

#: For what the fake does not model: better loud than wrong.
UNSUPPORTED = "%s is not supported by this fake"


class Bad(Exception):
    """A value that the BE cannot convert; the text is the BE's reason."""


class LoadError(Exception):
    """A load or a step of a transaction fails; `existing` is the ExistingJobStatus of a label clash."""

    def __init__(self, message: str, code: str = "INTERNAL_ERROR", existing: str = "") -> None:
        super().__init__(message)
        self.code, self.existing = code, existing
        #: What was parsed until then.
        self.batch: Batch | None = None


class FeError(Exception):
    """A REST exception of the FE: HTTP 200 with Status FAILED and `class <name>: <text>`."""

    def __init__(self, message: str) -> None:
        super().__init__(f"class com.starrocks.common.StarRocksException: {message}")


class SqlError(Exception):
    """An error packet."""

    def __init__(self, message: str, errno: int = 1064, state: str = "HY000") -> None:
        super().__init__(message)
        self.errno, self.state = errno, state
