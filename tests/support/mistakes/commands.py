"""Commands, their options, and key files."""

from __future__ import annotations

import base64

from mistakes import KEY, OTHER_KEY, Mistake, command, file

MISTAKES: list[Mistake] = [
    # key files
    file("clinic.hex", f"{KEY}\n".encode(), None, "a key file with a line break at its end"),
    file("clinic.hex", f"{KEY[:32]}\n{KEY[32:]}\n".encode(), None, "a key file in two lines, as xxd writes it"),
    file("clinic.hex", f"\ufeff{KEY}\r\n".encode(), None, "a key file saved by Windows’ Notepad as UTF-8"),
    file(
        "clinic.hex",
        KEY.encode("utf-16"),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; this is UTF-16 text; save it as UTF-8",
        "a key file saved by Windows’ Notepad as “Unicode”",
    ),
    file(
        "clinic.hex",
        f"0x{KEY}".encode(),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; leave out the 0x in front of them",
        "a key file with 0x in front of the key",
    ),
    file(
        "clinic.hex",
        f'"{KEY}"'.encode(),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; leave out the quotation marks around them",
        "a key file with quotation marks around the key",
    ),
    file(
        "clinic.hex",
        f"“{KEY}”".encode(),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; leave out the quotation marks around them",
        "a key file with an editor’s quotation marks",
    ),
    file(
        "clinic.hex",
        KEY[:-1].encode(),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; this one has 63 characters",
        "a key file with 63 digits",
    ),
    file(
        "clinic.hex",
        f"{KEY}{OTHER_KEY}".encode(),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; this one has 128 characters",
        "a key file with two keys",
    ),
    file(
        "clinic.hex",
        bytes.fromhex(KEY),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; this is a raw key, which `xxd -p -c 64` converts",
        "a key file with the raw bytes of the key",
    ),
    file(
        "clinic.hex",
        base64.b64encode(bytes.fromhex(KEY)),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; this looks like base64; convert it with `base64 -d | xxd -p -c 64`",
        "a key file in base64",
    ),
    file(
        "clinic.hex",
        f"key={KEY}".encode(),
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; this one has 68 characters",
        "a key file with a name before the key",
    ),
    file(
        "clinic.hex",
        b'{"encryption": {"key": "%s"}}' % KEY.encode(),
        "the key file 'clinic.hex': this is a credentials document; name a file that holds its encryption.key alone",
        "a credentials document as key file",
    ),
    file(
        "clinic.hex",
        b'{"source": "fiel", "path": "/keys/clinic.hex"}',
        "the key file 'clinic.hex': there is no key source 'fiel'; did you mean file?",
        "a reference with a misspelt key source",
    ),
    file(
        "clinic.hex",
        b'{"source": "file", "path": "keys/clinic.hex"}',
        "the key file 'keys/clinic.hex' is below an app config's root; outside one, give its whole path",
        "a reference to a file of an app config",
    ),
    file(
        "clinic.hex",
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n",
        "the key file 'clinic.hex': a key is 64 hexadecimal digits; this looks like a private key of another kind",
        "a private key of another kind",
    ),
    file("clinic.hex", b"", "the key file 'clinic.hex' is empty", "an empty key file"),
    # commands
    command("keygen new.json --wrap vualt", "there is no key source 'vualt'; did you mean vault?"),
    command(
        "keygen new.json --wrap file path=a",
        "the key source 'file' wraps no keys; it gives keys that its owner has put there",
    ),
    command(
        "keygen new.json key_id=alias/clinic",
        "key_id=… belongs to a key source: --wrap SOURCE (see connectors keygen --help)",
    ),
    command(
        "keygen new.json --wrap vault address=https://vault.example key=clinic token=hunter2hunter2",
        "token is a secret, which other users of this machine could see in its process list; put the members into a private "
        "file: --wrap FILE.json (see connectors keygen --help)",
        secrets=("hunter2hunter2",),
    ),
    command("key show none.json", "there is no document 'none.json'"),
    command("encrypt plain sealed", "missing option '-K' / '--key-file' (see connectors encrypt --help)"),
    command("encrypt -K clinic.key plain sealed", "there is no key file 'clinic.key'"),
    command(
        f"encrypt -K {KEY} plain sealed",
        "name the file that holds the key, not the key itself: it is now in this machine's process list and your shell's history, so make a new one (there is no such key file)",
        secrets=(KEY,),
    ),
    command(
        "encrypt -K key.hex plain",
        "name the file to write: -out FILE, or - for standard output (see connectors encrypt --help)",
    ),
    command(
        "encrypt -K key.hex -in plain",
        "name the file to write: -out FILE, or - for standard output (see connectors encrypt --help)",
    ),
    command(
        "encrypt -K key.hex plain sealed more",
        "expected two files, IN and OUT, not 3 (see connectors encrypt --help)",
    ),
    command(
        "encrypt -K key.hex -in plain sealed",
        "name the files with -in and -out, or as IN OUT, not both (see connectors encrypt --help)",
    ),
    command("encrypt -K key.hex none sealed", "there is no file none"),
    command(
        "encrypt -K key.hex plain key.hex",
        "-out is the key file, which would be overwritten; name another file (see connectors encrypt --help)",
    ),
    command(
        "encrypt -K key.hex plain two.csv",
        "'two.csv' already exists and was not changed; --force replaces it",
        ("two.csv", b"37.2"),
    ),
    command(
        "presign s3://clinic/x --ambient -K key.hex --out key.hex --force",
        "--out is the key file or the credentials file, which would be overwritten; name another file (see connectors presign --help)",
    ),
    command("encrypt -K key.hex plain nowhere/sealed", "there is no folder /home/anna/nowhere to write sealed into"),
    command(
        "encrypt -K key.hex plain s3://clinic/x",
        "s3://clinic/x is a URL, but a local file is expected; `connectors cp` copies datasets",
    ),
    command(
        "encrypt -K key.hex plain sealed --format AES",
        "unknown format 'AES'; the formats are auto, cobblestone-256, tink-gcm-hkdf, gcm",
    ),
    command(
        "encrypt -K key.hex plain sealed --segment-size 1048576",
        "--segment-size needs --format tink-gcm-hkdf; cobblestone-256 has no segment size to choose (see connectors encrypt --help)",
    ),
    command(
        "encrypt -K key.hex plain sealed --format tink-gcm-hkdf --segment-size 1MB",
        "invalid value for '--segment-size': a whole number is expected (see connectors encrypt --help)",
    ),
    command("encrypt -k key.hex plain sealed", "no such option: -k (see connectors encrypt --help)"),
    command(
        "encrpyt -K key.hex plain sealed",
        "no such command 'encrpyt'. Did you mean 'encrypt', 'decrypt'? (see connectors --help)",
    ),
    command(
        "decrypt -K key.hex plain copy --pin abc",
        "a pin is 64 hexadecimal digits, as `connectors fingerprint` prints them",
    ),
    command("keygen key.hex", "'key.hex' already exists and was not changed; --force replaces it"),
    command("keygen nowhere/key.hex", "there is no folder '/home/anna/nowhere' to write 'key.hex' into"),
    command("dataset check none.json", "there is no credentials document 'none.json'"),
    command(
        "dataset check dataset://input/symptoms", "the port 'input' has no dataset 'symptoms'; it has 'conditions'"
    ),
    command(
        "dataset check dataset://inputs/conditions", "the app config has no port 'inputs'; it has 'input', 'output'"
    ),
    command(
        "dataset check --location file:///data/x",
        "--location needs a credentials FILE; the datasets of an app config have their own (see connectors dataset --help)",
    ),
    command(
        "dataset check owner.json --online",
        "--online needs the location of the dataset: --location URL (see connectors dataset --help)",
    ),
    command(
        "dataset new app input conditions --location file:///data/x --credentials credentials.json",
        "app/input/conditions/dataset already exists and was not changed; --force replaces it",
    ),
    command(
        "dataset new app input a/b --location file:///data/x --credentials credentials.json",
        "a dataset cannot be called 'a/b': a name is visible, without slashes, and without dots in front or spaces around it",
    ),
    command(
        "dataset new app .input x --location file:///data/x --credentials credentials.json",
        "a port cannot be called '.input': a name is visible, without slashes, and without dots in front or spaces around it",
    ),
    command(
        "dataset new app input x --location /data/x --credentials credentials.json",
        "the location '/data/x' is not a URL; write a local file with its full path, as in file:///data/conditions",
    ),
    command(
        "dataset new app input x --location https://h.example/x?sig=5ec2e75ec2e7 --credentials credentials.json",
        "the location 'https://h.example/x?…' has a query; keep only the part before the '?', and put the rest, in base64, into the credentials' query_string",
        secrets=("5ec2e75ec2e7",),
    ),
    command(
        "dataset new app input x --location file:///data/x",
        "missing option '--credentials' (see connectors dataset new --help)",
    ),
    command(
        "dataset new app input x --location file:///data/x --credentials key.hex",
        "the credentials are not a valid document: it is not JSON, which begins with a brace: {",
    ),
    command("ls input", "'input' is not a dataset's URL, dataset://PORT/NAME; `connectors ls` lists the datasets"),
    command(
        "ls dataset:/input",
        "'dataset:/input' is not a dataset's URL, dataset://PORT/NAME; `connectors ls` lists the datasets",
    ),
    command(
        "ls dataset://inputs",
        "there is no dataset://inputs; there are dataset://input/conditions, dataset://output/result",
    ),
    command(
        "ls --app-config nowhere",
        "there is no app config folder /home/anna/nowhere; name it in $CONNECTORS_APP_CONFIG, or pass it to connectors.load()",
    ),
    command(
        "cat input/conditions",
        "'input/conditions' is not a dataset's URL, dataset://PORT/NAME; `connectors ls` lists the datasets",
    ),
    command("cat dataset://input", "dataset://input is a folder; name an object, as in dataset://port/object"),
    command(
        "cat dataset://input/condition",
        "there is no dataset://input/condition; there are dataset://input/conditions, dataset://output/result",
    ),
    command("cat dataset://output/result", "output/result: there is no file /home/anna/result"),
    command(
        "cat dataset://input/conditions/2020",
        "there is no dataset://input/conditions/2020: dataset://input/conditions is a single object",
    ),
    command(
        "cp plain copy",
        "SRC or DST must be a dataset, dataset://PORT/NAME; use `cp` for two local files (see connectors cp --help)",
    ),
    command(
        "cp s3://clinic/x copy",
        "SRC or DST must be a dataset, dataset://PORT/NAME; add s3://clinic/x as one: connectors dataset new (see connectors cp --help)",
    ),
    command(
        "cp plain dataset:/output/result",
        "a dataset's URL has two slashes: dataset://PORT/NAME (see connectors cp --help)",
    ),
    command(
        "cp plain dataset://output/results",
        "there is no dataset://output/results; there are dataset://input/conditions, dataset://output/result",
    ),
    command(
        "presign s3://clinic/x",
        "name the credentials to sign with: --credentials FILE, or --ambient for this machine's own (see connectors presign --help)",
    ),
    command(
        "presign s3://clinic/x --credentials owner.json --ambient",
        "--credentials and --ambient exclude each other (see connectors presign --help)",
    ),
    command(
        "presign s3://clinic/x --credentials owner.json --method POST",
        "--method must be GET (or download) or PUT (or upload) (see connectors presign --help)",
    ),
    command(
        "presign s3://clinic/x --credentials owner.json --expires 8d",
        "invalid value for '--expires': a whole number is expected (see connectors presign --help)",
    ),
    command(
        "presign s3://clinic/x --credentials owner.json --expires 1000000",
        "a presigned URL is valid for 1 to 604800 seconds, not for 1000000",
    ),
    command(
        "presign s3://clinic/wards/ --credentials owner.json",
        "s3://clinic/wards/ is a folder; a URL is presigned for one object",
    ),
    command(
        "presign https://h.example/x --credentials owner.json",
        "the credentials are for a location that begins with s3://, and this one is https://…; correct one of them",
    ),
    command(
        "presign s3://clinic/x --credentials owner.json --out out.json",
        "--out writes a credentials document, which needs the key: -K FILE (see connectors presign --help)",
    ),
    command(
        "presign s3:/clinic/x --credentials owner.json",
        "the location 's3:/clinic/x' is not a URL; it must begin with s3://, with two slashes",
    ),
    command(
        "presign s3://clinic/x --credentials key.hex",
        "the credentials are not a valid document: it is not JSON, which begins with a brace: {",
    ),
    command("run", "missing argument '-- COMMAND...' (see connectors run --help)"),
    command("run --input-port inputs -- true", "the app config has no port 'inputs'; it has 'input', 'output'"),
    command(
        "run --output result -- true",
        "--output expects NAME=PATH, a dataset of the output port and a file, not 'result' (see connectors run --help)",
    ),
    command("run --output results=x -- true", "the port 'output' has no dataset 'results'; it has 'result'"),
    command(
        "run --app-config nowhere -- true",
        "there is no app config folder /home/anna/nowhere; name it in $CONNECTORS_APP_CONFIG, or pass it to connectors.load()",
    ),
    command("result plain", "this is not the result of a command: a JSON object, in braces, is expected"),
    command(
        "fingerprint credentials.json", "a file needs its key: --key-file FILE (see connectors fingerprint --help)"
    ),
    command(
        "fingerprint dataset://input/condition", "the port 'input' has no dataset 'condition'; it has 'conditions'"
    ),
    command(
        "manifest dataset://input/conditions",
        "input/conditions: only a folder whose objects are bound to their names has a manifest",
    ),
    command(
        "manifest input/wards",
        "'input/wards' is not a dataset's URL, dataset://PORT/NAME; `connectors ls` lists the datasets (see connectors manifest --help)",
    ),
    command("schema aws", "no backend 'aws' is installed; installed: azure, file, gcs, https, memory, s3, sftp"),
]
