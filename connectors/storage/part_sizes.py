"""The sizes of the parts of an upload."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PartSizes"]


@dataclass(frozen=True, slots=True)
class PartSizes:
    """The sizes of an upload's parts: all equal, as some stores (Cloudflare R2) demand, as long as that is enough.

    The size is chosen once if the object's size is known. Otherwise the first fifth of the parts is equal, and then
    the size doubles with each 25th of them: a store's largest object fits into its number of parts.

    Attributes:
        first: bytes in the first parts.
        least: bytes in the smallest part, except the last.
        most: bytes in the largest part that is held in memory.
        count: the most parts in an upload; None for any number.
        total: bytes in the largest object.
        fixed: never grow, even if the object then does not fit.
    """

    first: int
    least: int
    most: int
    count: int | None
    total: int
    fixed: bool = False

    def at(self, before: int) -> int:
        """Return the size of the part after `before` others.

        >>> sizes = PartSizes(8 << 20, 5 << 20, 1 << 30, 10_000, 5 << 40)
        >>> [sizes.at(number) >> 20 for number in (0, 1_999, 2_000, 2_400, 9_999)]
        [8, 8, 16, 32, 1024]
        """
        if self.count is None or self.fixed:
            return self.first
        equal, step = self.count // 5, max(1, self.count // 25)
        doublings = 0 if before < equal else 1 + (before - equal) // step
        return min(self.first << min(doublings, 40), max(self.first, self.most))

    def for_object(self, size: int) -> PartSizes:
        """Return equal sizes for an object of `size` bytes."""
        first = self.first
        if self.count is not None and size > first * self.count:
            first = -(-size // self.count)
            first += -first % (1 << 20)
        return PartSizes(first, self.least, self.most, self.count, self.total, fixed=True)
