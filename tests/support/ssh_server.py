"""An SSH server for files: asyncssh's, or OpenSSH's program behind asyncssh's connections."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
from patience import PATIENCE

from connectors.credentials.model import validate
from connectors_sftp import SFTPCredentials
from connectors_sftp.filesystem import SFTP
from connectors_sftp.location import Endpoint

__all__ = ["KEY", "OPENSSH", "PASSWORD", "SERVERS", "USER", "SSHServer", "running"]

KEY = "0f" * 32
USER, PASSWORD = "clinic", "correct horse battery staple"
OPENSSH = [
    path
    for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
    if os.access(path, os.X_OK)
]
SERVERS = ["asyncssh", *(["openssh"] if OPENSSH else [])]


class _Gate(asyncssh.SSHServer):
    """Accepts one user, by a password or a key."""

    def __init__(self, owner: SSHServer) -> None:
        self._owner = owner

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._owner.connections.append(conn)
        self._owner.made += 1

    def begin_auth(self, username: str) -> bool:
        self._owner.asked.append(username)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, self._owner.password)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._owner.user_key.public_data

    def session_requested(self) -> Any:
        if self._owner.kind == "asyncssh":
            return True
        return self._connection.create_server_channel(encoding=None), _OpenSSH()


class _OpenSSH(asyncssh.SSHServerSession):
    """Forwards an SFTP session to OpenSSH's ``sftp-server``."""

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._serving = asyncio.ensure_future(self._serve())

    def data_received(self, data: Any, datatype: Any) -> None:
        self._incoming.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._incoming.put_nowait(b"")

    async def _serve(self) -> None:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(OPENSSH[0], stdin=pipe, stdout=pipe)
        assert child.stdin is not None
        answering = asyncio.ensure_future(self._answer(child.stdout))
        try:
            while data := await self._incoming.get():
                child.stdin.write(data)
                await child.stdin.drain()
        finally:
            child.stdin.close()
            await child.wait()
            await answering

    async def _answer(self, answers: Any) -> None:
        while data := await answers.read(1 << 16):
            self._channel.write(data)


class SSHServer:
    """An SSH server on loopback, in a thread; asyncssh or OpenSSH's ``sftp-server`` serves its files.

    Attributes:
        root: a folder of its own; paths on the server are those of this machine.
        asked: the users that asked to be let in.
        made: how many connections were made.
        hooks: what asyncssh's server does in the place of its methods, by name; each is given the method.
    """

    def __init__(
        self,
        root: Path,
        kind: str = "asyncssh",
        host_keys: list[asyncssh.SSHKey] | None = None,
        password: str = PASSWORD,
    ) -> None:
        self.root = root
        self.password = password
        self.kind = kind
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_keys = host_keys or [asyncssh.generate_private_key("ssh-ed25519")]
        self.asked: list[str] = []
        self.made = 0
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.hooks: dict[str, Callable[..., Any]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._acceptor = self._do(self._listen(0))
        self.port: int = self._acceptor.get_port()

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self, port: int) -> Any:
        hooks = self.hooks

        class Files(asyncssh.SFTPServer):
            def __getattribute__(self, name: str) -> Any:
                own = super().__getattribute__(name)
                hook = hooks.get(name)
                return own if hook is None else lambda *arguments: hook(own, *arguments)

        return await asyncssh.listen(
            "127.0.0.1", port, server_factory=lambda: _Gate(self), server_host_keys=self.host_keys, sftp_factory=Files
        )

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.port)

    @property
    def host_key(self) -> str:
        return self.host_keys[0].export_public_key().decode().strip()

    def document(self, **changes: Any) -> dict[str, Any]:
        document = {
            "type": "sftp",
            "username": USER,
            "private_key": self.user_key.export_private_key().decode(),
            "host_key": self.host_key,
            "encryption": {"key": KEY},
            **changes,
        }
        return {name: value for name, value in document.items() if value is not None}

    def filesystem(self, **changes: Any) -> SFTP:
        return SFTP(self.endpoint, validate(SFTPCredentials, self.document(**changes)))

    def cut(self) -> None:
        """Break all connections, as a network failure does."""

        async def cut() -> None:
            for connection in self.connections:
                connection.abort()
            self.connections.clear()

        self._do(cut())

    def stop_listening(self) -> None:
        async def close() -> None:
            self._acceptor.close()
            await self._acceptor.wait_closed()

        self._do(close())

    def close(self) -> None:
        async def finish() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.stop_listening()
        self.cut()
        self._do(asyncio.sleep(0.1))
        self._do(finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


@contextmanager
def running(root: Path, kind: str = "asyncssh", **options: Any) -> Iterator[SSHServer]:
    server = SSHServer(root, kind, **options)
    try:
        yield server
    finally:
        server.close()
