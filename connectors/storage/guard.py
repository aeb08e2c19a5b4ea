"""A mixin that keeps secrets out of fsspec's storage options, pickles and JSON."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

__all__ = ["Guarded"]


class Guarded:
    """A mixin for an fsspec filesystem whose constructor may be given secrets; it comes before fsspec's class.

    fsspec keeps the constructor's arguments to cache, compare, pickle and serialize instances. That would leak secrets,
    and two instances that differ only in a masked secret would compare equal. So nothing is kept, an instance is equal
    only to itself, and it cannot be pickled or converted to JSON::

        class ShelfFileSystem(Guarded, AbstractFileSystem): ...
    """

    cachable = False

    # The metaclass assigns these three after the constructor has run; the assignments are ignored.
    storage_args = property(lambda _: (), lambda _, __: None)
    storage_options = property(lambda _: {}, lambda _, __: None)
    _fs_token_ = property(lambda self: self._own_token(), lambda _, __: None)

    def _own_token(self) -> str:
        token: str = vars(self).setdefault("_guarded_token", uuid.uuid4().hex)
        return token

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def _refuse_to_travel(self) -> NoReturn:
        message = (
            f"a filesystem of {type(self).__name__} holds secrets and does not pickle or convert to JSON; take it from "
            "a dataset of an app config, which pickles by name and is reopened in the other process"
        )
        raise TypeError(message)

    def __reduce__(self) -> Any:
        self._refuse_to_travel()

    def to_json(self, *, include_password: bool = True) -> NoReturn:  # noqa: ARG002 - fsspec's signature
        """Refuse.

        Raises:
            TypeError: always.
        """
        self._refuse_to_travel()

    def to_dict(self, *, include_password: bool = True) -> NoReturn:  # noqa: ARG002 - fsspec's signature
        """Refuse.

        Raises:
            TypeError: always.
        """
        self._refuse_to_travel()
