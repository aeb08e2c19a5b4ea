"""Two formats for one dataset whose encryption is being changed: objects are read under both, and written under one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connectors.errors import IntegrityError
from connectors.formats.contract import Decryptor, Encryptor, Format

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.formats.contract import Fetch

    Candidate = tuple[Format, Decryptor]

__all__ = ["Either"]


class Either(Format):
    """Reads what is sealed in a new or in an old format, key and context; writes the new one.

    Which of the two an object is under is proven by its authentication, never guessed from plain bytes: the commitment
    in the header tells for cobblestone-256; other formats are authenticated under the new key, then under the old one.

    Args:
        new: the format that is written, and tried first.
        old: the format that is only read.

    Attributes:
        found: `new` or `old`, whichever the object opened last is under; valid once it is authenticated.
    """

    name = "either"

    def __init__(self, new: Format, old: Format) -> None:
        self.new = new
        self.old = old
        self.found: Format | None = None
        self.layout = new.layout if new.layout == old.layout else None
        self.head_size = max(new.head_size, old.head_size)

    @property
    def is_new(self) -> bool:
        """Whether the object opened last is under the new key."""
        return self.found is self.new

    def encryptor(self) -> Encryptor:
        """Return an encryptor in the new format."""
        return self.new.encryptor()

    def decryptor(self, head: bytes, sealed_size: int) -> Decryptor:
        """Return a decryptor, which is that of the format that the object proves to be in.

        Raises:
            IntegrityError: it is in neither.
        """
        self.found = None
        candidates: list[Candidate] = []
        problem: IntegrityError | None = None
        for codec in (self.new, self.old):
            try:
                candidates.append((codec, codec.decryptor(head[: codec.head_size], sealed_size)))
            except IntegrityError as error:
                problem = error
        if candidates:
            return _Candidates(candidates, self._decide)
        assert problem is not None  # noqa: S101 - of one of the two
        problem.args = (f"neither the new key nor the old one opens this object; under the old one: {problem}",)
        raise problem

    def _decide(self, found: Format) -> None:
        self.found = found

    def bound(self, name: str) -> Either:
        """Return both formats with `name` in their contexts."""
        return Either(self.new.bound(name), self.old.bound(name))


class _Candidates(Decryptor):
    """Becomes the first decryptor that authenticates the object.

    Args:
        candidates: at least one.
        decide: called with the format that it is.
    """

    reads_all: ClassVar[bool] = True  # the next candidate reads it again, and after that the caller

    def __init__(self, candidates: list[Candidate], decide: Callable[[Format], None]) -> None:
        self._candidates = candidates
        self._decide = decide
        self._become(candidates[0][1])

    def _become(self, one: Decryptor) -> None:
        super().__init__(one.layout, one.sealed_size)
        self._one = one

    def authenticate(self, fetch: Fetch) -> None:
        """Authenticate the object under one key after the other."""
        *before, last = self._candidates
        for codec, one in before:
            try:
                one.authenticate(fetch)
            except IntegrityError:
                continue
            self._take(codec, one)
            return
        last[1].authenticate(fetch)
        self._take(*last)

    def _take(self, codec: Format, one: Decryptor) -> None:
        self._become(one)
        self._decide(codec)

    @property
    def pin(self) -> str:
        """The fingerprint of this version of the object."""
        return self._one.pin

    def _identity(self) -> bytes:
        return self._one._identity()  # noqa: SLF001 - of the same family

    def decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        """Decrypt a run of chunks."""
        return self._one.decrypt_run(first, count, sealed, out)

    def _decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        return self._one._decrypt_run(first, count, sealed, out)  # noqa: SLF001
