"""A real WebDAV server on loopback: wsgidav on cheroot, which prints its port and serves a folder until it is killed.

    python dav_server.py FOLDER [stock|strict|bare]

``stock`` is wsgidav as it is: MOVE removes what it replaces, then renames, and takes a ``?`` or ``;`` in the Destination
for the end of the path. ``strict`` moves in one step, lets one of two creators win, and reads the Destination as
RFC 4918 says. ``bare`` sends no ETag.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from cheroot import wsgi
from wsgidav.dav_error import HTTP_PRECONDITION_FAILED, DAVError
from wsgidav.fs_dav_provider import FileResource, FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp

USER, PASSWORD = "anna", "a Password: of this test, Ää"


HIDDEN = {"%3F": "%EE%80%80", "%3B": "%EE%80%81"}
"""What wsgidav would misread in a Destination, and private characters in its place."""
RESTORED = str.maketrans("\ue000\ue001", "?;")


def strict_application(application: Any) -> Any:
    """Return an application that gets no Destination with characters that it would misread."""

    def run(environ: dict[str, Any], start_response: Any) -> Any:
        for escape, other in HIDDEN.items():
            if "HTTP_DESTINATION" in environ:
                environ["HTTP_DESTINATION"] = environ["HTTP_DESTINATION"].replace(escape, other)
        return application(environ, start_response)

    return run


class StrictFile(FileResource):
    """A file whose MOVE is one system call."""

    def handle_move(self, dest_path: str) -> bool:
        target = self.provider._loc_to_file_path(dest_path.translate(RESTORED), self.environ)
        if self.environ["HTTP_OVERWRITE"] == "T":
            os.replace(self._file_path, target)
            return True
        try:
            os.link(self._file_path, target)
        except FileExistsError:
            raise DAVError(HTTP_PRECONDITION_FAILED) from None
        os.unlink(self._file_path)
        return True


class BareFile(FileResource):
    """A file without an ETag."""

    def support_etag(self) -> bool:
        return False

    def get_etag(self) -> None:
        return None


class Provider(FilesystemProvider):
    """A provider of files of another class."""

    def __init__(self, folder: str, kind: type[FileResource]) -> None:
        super().__init__(folder, fs_opts={})
        self._kind = kind

    def get_resource_inst(self, path: str, environ: dict[str, Any]) -> Any:
        found = super().get_resource_inst(path, environ)
        return self._kind(path, environ, found._file_path) if isinstance(found, FileResource) else found


def main(folder: str, behaviour: str = "stock") -> None:
    kind = {"stock": FileResource, "strict": StrictFile, "bare": BareFile}[behaviour]
    config = {
        "provider_mapping": {"/": Provider(folder, kind)},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
        "lock_storage": False,
        "property_manager": False,
        "logging": {"enable": False},
        "verbose": 0,
    }
    application = WsgiDAVApp(config)
    served = strict_application(application) if behaviour == "strict" else application
    server = wsgi.Server(("127.0.0.1", 0), served, numthreads=10)
    server.prepare()
    print(server.bind_addr[1], flush=True)
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
