"""The chain of transforms, with predicates, as Connect's TransformationChain applies it."""

from __future__ import annotations

from collections.abc import Sequence

from pycdc.errors import PycdcError, RecordError
from pycdc.model.record import Header, Record
from pycdc.model.template import NeedsValue
from pycdc.plugins.contracts import Link


class Chain:
    """Transforms in order; a record that one of them drops is gone."""

    def __init__(self, links: Sequence[Link] = ()) -> None:
        self.links = tuple(links)
        self._shares = any(_in_place(link) for link in links)

    @property
    def moves_only(self) -> bool:
        """Whether the whole chain may be traced over a template."""
        return all(link.transform.moves_only for link in self.links)

    def apply(self, record: Record) -> Record | None:
        """The record after every transform, or None when one dropped it."""
        if record.follows is not None and self._shares:
            record = record.replace(headers=(*record.headers, *self._given(record.follows)), follows=None)
        for link in self.links:
            try:
                if not link.applies(record):
                    continue
                changed = link.transform.apply(record)
            except RecordError as error:
                prefix = f"transforms.{link.name}: "
                if link.name and not error.what.startswith(prefix):
                    error.what = prefix + error.what
                raise
            except (PycdcError, NeedsValue):
                raise
            except Exception as error:
                # a transform of the user's own; its message may hold a row's values, so only its kind is told
                name = type(link.transform).__qualname__
                alias = f"transforms.{link.name}: " if link.name else ""
                raise RecordError(f"{alias}the transform {name} failed", cause=type(error).__name__) from error
            if changed is None:
                return None
            record = changed
        return record

    def _given(self, delete: Record) -> tuple[Header, ...]:
        """Headers that transforms add to `delete`, and so, in Connect, to the tombstone that was made with it.

        The two share one object there, until a transform makes a new record.
        """
        given: list[Header] = []
        for link in self.links:
            if not link.applies(delete):
                continue
            changed = link.transform.apply(delete)
            if changed is None:
                break
            if _in_place(link):
                given += changed.headers[len(delete.headers) :]
                if changed.value is delete.value:
                    delete = changed
                    continue
            if changed is not delete:
                break
        return tuple(given)


def _in_place(link: Link) -> bool:
    return getattr(link.transform, "adds_headers_in_place", False)
