"""Azure Blob Storage."""

from __future__ import annotations

import base64

from mistakes import ABSENT, KEY, Mistake, location, member

SECRET = "d2pzbHJYVXRuRkVNSS9LN01ERU5HK2JQeFJmaUNZRVhBTVBMRQ=="
SAS = "sv=2024-11-04&se=2099-01-02T03%3A04%3A05Z&sr=c&sp=rl&sig=s1gnatures1gnatures1gnatures1gnatures1gnat%2B%3D"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=clinic;AccountKey={SECRET};EndpointSuffix=core.windows.net"
DOCUMENT = {"account_name": "clinic", "account_key": SECRET, "encryption": {"key": KEY}}
PLACE = "az://ward/conditions.sealed"

MISTAKES: list[Mistake] = [
    member(
        DOCUMENT,
        PLACE,
        {"account_name": "https://clinic.blob.core.windows.net"},
        "credentials.account_name: not the name of a storage account: use 3 to 24 lower-case letters and digits, without the host",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_name": "clinic.blob.core.windows.net"},
        "credentials.account_name: not the name of a storage account: use 3 to 24 lower-case letters and digits, without the host",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_name": "Clinic"},
        "credentials.account_name: not the name of a storage account: use 3 to 24 lower-case letters and digits, without the host",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_name": "clinic-data"},
        "credentials.account_name: not the name of a storage account: use 3 to 24 lower-case letters and digits, without the host",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_name": ABSENT},
        "credentials.account_name: missing; give the storage account there, or in the location, as in abfss://container@account.dfs.core.windows.net/name",
    ),
    member(DOCUMENT, PLACE, {"account_name": 7}, "credentials.account_name: text in quotation marks is expected"),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": SECRET[:-2]},
        "credentials.account_key: not an account key; copy all of its base64 text, without white space",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": f"{SECRET}\n"},
        "credentials.account_key: not an account key; copy all of its base64 text, without white space",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": f'"{SECRET}"'},
        "credentials.account_key: not an account key; copy all of its base64 text, without white space",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": SAS},
        "credentials.account_key: this is a shared access signature; put it into sas_token",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": CONNECTION},
        "credentials.account_key: this is a connection string; put it into connection_string",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ""},
        "credentials.account_key: not an account key; copy all of its base64 text, without white space",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT},
        'credentials: no credentials are given: give exactly one of account_key, sas_token, connection_string, tenant_id (with client_id and client_secret), managed_identity, anonymous and ambient; for a public object add "anonymous": true, for the credentials that this machine provides "ambient": true',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "sas_token": "sv=2024-11-04&sp=rl"},
        "credentials.sas_token: not a shared access signature, which is a URL's query with sig= and without white space",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "sas_token": f"https://clinic.blob.core.windows.net/ward?{SAS}"},
        "credentials.sas_token: give only the part of the signed URL after its '?'; the rest belongs to the location",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "sas_token": base64.b64encode(SAS.encode()).decode()},
        "credentials.sas_token: not a shared access signature, which is a URL's query with sig= and without white space",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "sas_token": f"{SAS}\n"},
        "credentials.sas_token: not a shared access signature, which is a URL's query with sig= and without white space",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "sas_token": SAS.replace("&sp=rl", "")},
        "credentials.sas_token: sp of a service SAS is missing; copy the URL again",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "sas_token": SAS[:-12]},
        "credentials.sas_token: sig, the signature, is cut short: 36 of 44 characters; copy the URL again",
        secret=True,
    ),
    member(DOCUMENT, PLACE, {"account_key": ABSENT, "sas_token": f"?{SAS}"}, None, secret=True),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "sas_token": SECRET},
        "credentials.sas_token: not a shared access signature, which is a URL's query with sig= and without white space",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"sas_token": SAS},
        "credentials: give exactly one of account_key, sas_token, connection_string, tenant_id (with client_id and client_secret), managed_identity, anonymous and ambient",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "account_name": ABSENT, "connection_string": SECRET},
        "credentials.connection_string: not a connection string of a storage account, which has AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "account_name": ABSENT, "connection_string": "AccountName=clinic"},
        "credentials.connection_string: give exactly one of AccountKey and SharedAccessSignature",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "connection_string": CONNECTION},
        "credentials: the connection_string already contains account_name and endpoint_url; leave them out",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "account_name": ABSENT, "connection_string": CONNECTION.replace("https", "http")},
        'credentials: connection_string: http:// is not encrypted; use https://, or set "allow_http": true',
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "account_name": ABSENT, "connection_string": f'"{CONNECTION}"'},
        "credentials.connection_string: not a connection string of a storage account, which has AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "tenant_id": "contoso.example", "client_id": "11fa2b"},
        "credentials: a service principal needs all of tenant_id, client_id and client_secret; client_secret is missing",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "tenant_id": "our tenant", "client_id": "11fa2b", "client_secret": "hushhush"},
        "credentials.tenant_id: not a tenant's id or domain",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"account_key": ABSENT, "tenant_id": "contoso.example", "client_id": "11fa2b", "client_secret": "hush hush"},
        "credentials.client_secret: contains white space or other characters that are not allowed here",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"acount_key": SECRET, "account_key": ABSENT},
        "credentials.acount_key: unknown member; did you mean account_key?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"accountKey": SECRET, "account_key": ABSENT},
        "credentials.accountKey: unknown member; did you mean account_key?",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"AccountName": "clinic", "account_name": ABSENT},
        "credentials.AccountName: unknown member; did you mean account_name?",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"sas": SAS, "account_key": ABSENT},
        "credentials.sas: unknown member; known members: account_key, account_name, allow_http, ambient, anonymous, authority_url, client_id, client_secret, connection_string, encryption, endpoint_url, layout, managed_identity, sas_token, tenant_id, type",
        secret=True,
    ),
    member(
        DOCUMENT,
        PLACE,
        {"container": "ward"},
        "credentials.container: unknown member; known members: account_key, account_name, allow_http, ambient, anonymous, authority_url, client_id, client_secret, connection_string, encryption, endpoint_url, layout, managed_identity, sas_token, tenant_id, type",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"anonymous": "true", "account_key": ABSENT},
        "credentials.anonymous: true or false, without quotation marks, is expected",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"managed_identity": True},
        "credentials: give exactly one of account_key, sas_token, connection_string, tenant_id (with client_id and client_secret), managed_identity, anonymous and ambient",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": "clinic.blob.core.windows.net"},
        "credentials.endpoint_url: an endpoint is a URL such as https://clinic.blob.core.windows.net",
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": "http://store.internal"},
        'credentials: endpoint_url: http:// is not encrypted; use https://, or set "allow_http": true',
    ),
    member(
        DOCUMENT,
        PLACE,
        {"endpoint_url": f"https://clinic.blob.core.windows.net/?{SAS}"},
        "credentials.endpoint_url: an endpoint has no user information, query or fragment; credentials go into their own members",
        secret=True,
    ),
    member(
        DOCUMENT, PLACE, {"type": "az"}, "no installed backend serves the credentials type 'az'; did you mean azure?"
    ),
    member(
        DOCUMENT,
        PLACE,
        {"type": "blob"},
        "no installed backend serves the credentials type 'blob'; installed: azure, file, gcs, https, memory, s3, sftp",
    ),
    location(DOCUMENT, "az://", "the location 'az://' is not a URL; add what it refers to, as in s3://bucket/key"),
    location(
        DOCUMENT,
        "az://ward",
        "a location in Azure is az://container/name, and 'az://ward' is not: it does not name a blob; for the whole container, put a slash at the end",
    ),
    location(
        DOCUMENT,
        "az:///x",
        "a location in Azure is az://container/name, and 'az:///x' is not: it does not name a container",
    ),
    location(
        DOCUMENT, "az:/ward/x", "the location 'az:/ward/x' is not a URL; it must begin with az://, with two slashes"
    ),
    location(
        DOCUMENT,
        "az://Ward/x",
        "a location in Azure is az://container/name, and 'az://Ward/x' is not: its container has an invalid name; use 3 to 63 lower-case letters, digits and hyphens",
    ),
    location(
        DOCUMENT,
        "az://my_ward/x",
        "a location in Azure is az://container/name, and 'az://my_ward/x' is not: its container has an invalid name; use 3 to 63 lower-case letters, digits and hyphens",
    ),
    location(
        DOCUMENT,
        "https://clinic.blob.core.windows.net/ward/x",
        "the credentials are for a location that begins with az://, and this one is https://…; correct one of them",
    ),
    location(
        DOCUMENT,
        "az://clinic.blob.core.windows.net/ward/x",
        "a location in Azure is az://container/name, and 'az://clinic.blob.core.windows.net/ward/x' is not: it has the account's host in place of the container; leave out the host, and put the account into the credentials' account_name",
    ),
    location(
        DOCUMENT,
        "abfss://ward@clinic/x",
        "a location in Azure is az://container/name, and 'abfss://clinic/x' is not: the part after the @ is not the host of an account, such as account.dfs.core.windows.net",
    ),
    location(
        DOCUMENT,
        "abfss://ward@other.dfs.core.windows.net/x",
        "the location is in the account other, but the credentials are for clinic; correct one of them",
    ),
    location(
        DOCUMENT,
        "wasbs://ward@clinic.blob.core.windows.net/x",
        "no installed backend serves the scheme 'wasbs'; did you mean abfss?",
    ),
    location(
        DOCUMENT,
        "az://ward/a\\b",
        "a location in Azure is az://container/name, and 'az://ward/a\\\\b' is not: its name contains a backslash, which Azure treats as a slash",
    ),
    location(
        DOCUMENT,
        "az://ward/a/../x",
        "a location in Azure is az://container/name, and 'az://ward/a/../x' is not: its name contains a segment . or ..",
    ),
    location(
        DOCUMENT,
        "az://ward/x.",
        "a location in Azure is az://container/name, and 'az://ward/x.' is not: a segment of its name ends in a dot, which Azure may remove",
    ),
    location(DOCUMENT, "blob://ward/x", "no installed backend serves the scheme 'blob'; did you mean az?"),
]
