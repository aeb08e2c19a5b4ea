"""What keeps a filesystem's secrets to itself: mixed in before fsspec's class, by every filesystem that holds any."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

__all__ = ["Guarded"]


class Guarded:
    """An fsspec filesystem whose constructor may be given secrets.

    fsspec keeps what a filesystem was made with, to find the instance again, to compare, to pickle and to write it as
    JSON: secrets would travel along, and two that differ in nothing but a masked secret would be taken for one. So
    nothing is kept, an instance is equal to itself alone, and neither pickles nor becomes JSON::

        class ShelfFileSystem(Guarded, AbstractFileSystem): ...
    """

    cachable = False

    # The metaclass assigns these three after the constructor has run; it is not to succeed.
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
