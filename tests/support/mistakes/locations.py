"""What all locations have in common."""

from __future__ import annotations

from mistakes import FILE, Mistake, location

MISTAKES: list[Mistake] = [
    location(
        FILE,
        "/data/conditions.csv",
        "the location '/data/conditions.csv' is not a URL; write a local file with its full path, as in file:///data/conditions",
    ),
    location(
        FILE,
        "./conditions.csv",
        "the location './conditions.csv' is not a URL; write a local file with its full path, as in file:///data/conditions",
    ),
    location(
        FILE,
        "~/conditions.csv",
        "the location '~/conditions.csv' is not a URL; write a local file with its full path, as in file:///data/conditions",
    ),
    location(
        FILE,
        "conditions.csv",
        "the location 'conditions.csv' is not a URL; write it with its scheme, as in s3://bucket/key",
    ),
    location(
        FILE,
        "C:\\data\\conditions.csv",
        "the location 'C:\\\\data\\\\conditions.csv' is not a URL; this is a Windows path; write a local file as file:///data/conditions",
    ),
    location(
        FILE,
        "\\\\server\\share\\conditions.csv",
        "the location '\\\\\\\\server\\\\share\\\\conditions.csv' is not a URL; this is a Windows path; write a local file as file:///data/conditions",
    ),
    location(
        FILE,
        "file:/data/conditions",
        "the location 'file:/data/conditions' is not a URL; it must begin with file://, with two slashes",
    ),
    location(
        FILE,
        "file://data/conditions",
        "a file location has an absolute path, as in file:///data/conditions: 'file://data/conditions'",
    ),
    location(
        FILE,
        "file:///data/conditions?",
        "a file location has no query or fragment; write ? as %3F and # as %23: 'file:///data/conditions?…'",
    ),
    location(
        FILE,
        "file:///data/a#1",
        "a file location has no query or fragment; write ? as %3F and # as %23: 'file:///data/a'",
    ),
    location(
        FILE,
        " file:///data/conditions",
        "the location ' file:///data/conditions' is not a URL; leave out the white space and the quotation marks around it",
    ),
    location(
        FILE,
        "“file:///data/conditions”",
        "the location '“file:///data/conditions”' is not a URL; leave out the white space and the quotation marks around it",
    ),
    location(
        FILE,
        "<file:///data/conditions>",
        "the location '<file:///data/conditions>' is not a URL; leave out the white space and the quotation marks around it",
    ),
    location(FILE, "", "the location '' is not a URL; write it with its scheme, as in s3://bucket/key"),
    location(FILE, "file://", "the location 'file://' is not a URL; add what it refers to, as in s3://bucket/key"),
    location(
        FILE,
        "dataset://input/conditions",
        "dataset:// refers to a dataset of an app config; give the storage's URL here",
    ),
    location(
        FILE,
        "dataset:/input/conditions",
        "the location 'dataset:/input/conditions' is not a URL; dataset:// refers to a dataset of an app config; give the storage's URL here",
    ),
    location(FILE, "htps://clinic.example/x", "no installed backend serves the scheme 'htps'; did you mean https?"),
    location(FILE, "ftp://clinic.example/x", "no installed backend serves the scheme 'ftp'; did you mean sftp?"),
    location(
        FILE,
        "smb://server/share/x",
        "no installed backend serves the scheme 'smb'; installed: abfs, abfss, az, azure, file, gcs, gs, http, https, memory, s3, sftp, ssh",
    ),
    location(
        FILE,
        "files.example:/data/x",
        "the location 'files.example:/data/x' is not a URL; write a file on another machine as sftp://host/path",
    ),
]
