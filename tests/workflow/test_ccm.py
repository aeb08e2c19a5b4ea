"""The CCM profile: the published digests, and configurations laid down as folders that the SDK reads."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

import connectors
from connectors.errors import InvalidDocument
from connectors.workflow.ccm import HashedConfig, parse_runtime_app_config

DOCUMENT = b'{"encryption": null}'


ZONE_ONE = """\
-----BEGIN CERTIFICATE-----
MIIFGDCCA4CgAwIBAgIUHQCD590cMmMiUisayBBbQOdCKNUwDQYJKoZIhvcNAQEL
BQAwgZIxNTAzBgsrBgEEAYOEGgEDAQwkZTMzNThjYjQtNWY2ZS00ZDFjLWFkN2Mt
ZGFmODc0ZGNmNzc4MTUwMwYLKwYBBAGDhBoBAwIMJGI3ZTMxMDQ3LThmZmYtNDdh
Mi05ODY1LWJjZjQwYmRmYjdlMjEiMCAGA1UEAwwZRGVmYXVsdCBFbmNsYXZlIFpv
bmUgUm9vdDAeFw0yNDExMTkxMTU3NTFaFw0yOTExMTkxMTU3NTFaMIGSMTUwMwYL
KwYBBAGDhBoBAwEMJGUzMzU4Y2I0LTVmNmUtNGQxYy1hZDdjLWRhZjg3NGRjZjc3
ODE1MDMGCysGAQQBg4QaAQMCDCRiN2UzMTA0Ny04ZmZmLTQ3YTItOTg2NS1iY2Y0
MGJkZmI3ZTIxIjAgBgNVBAMMGURlZmF1bHQgRW5jbGF2ZSBab25lIFJvb3QwggGi
MA0GCSqGSIb3DQEBAQUAA4IBjwAwggGKAoIBgQDFTQXxYCihCZNPmBOL83peXl8N
X4z5xx6PYpMkPaDLffKYidSYx8BeYlq7J/fB074NmuoL/ArygWRCdTfylWPnIyvx
9kWQEdiK5EW0p1+mtgXdV4H61b+QjE5Jrtp7liZE/fKMGRMpvd8Gx4WkZwDyZo2n
hc5mimULHNFTm1fE+gwUcg2b9z95n6NA3XAx/2AROkaYWka5wq2D6qU+Lo+ZRaNM
eccovOQH/7VZUxvMTVpFZLiccqJjHpFJ4O+0648HzLLaefiFGYMuEhfUN8To6JuU
s6pY3j0UbYciBaOsWRZk4KjxLBkKJd3YqFkdExAu4yGuw7qoEZWpJ2gOu04evPBr
5fhnH7X65ndYv2bJqtCcGjuVlICtsgP1K/zjd5WtpFAUpJCeGZFKdk/iT2ehRKnX
nMLM0rrZWCbgSooB/Mo8omZNwe3PUDQ0CBiIKjWCn6tXnGTjER7uyp2C1LcloqBZ
KK1XS6pTUMqkYRZGbhK+oBAJstV7hyEDonpC0skCAwEAAaNkMGIwDwYDVR0TAQH/
BAUwAwEB/zAPBgNVHQ8BAf8EBQMDB4YAMB8GA1UdIwQYMBaAFGCJitDjMB1j9w4w
KSl4zomn0EsYMB0GA1UdDgQWBBRgiYrQ4zAdY/cOMCkpeM6Jp9BLGDANBgkqhkiG
9w0BAQsFAAOCAYEAUhz55qRSdC57EMq+JpKveT38rlcPYyhpVVL7kWTyHnKZjUAa
Q9bPDGvq3yAQwLnI9DUyjpAzJPqJVP/ZFM633RrTtqNYEykatvYH0tgWhRcCyIE2
Zuqp8vqukzwdcCpZmNDrKM+XYk6Y/XoMNgF7nkiaDyFBRti4F6CzPk+St5xO1cpW
z0vDWX+TbaZpj/iP8DI5XfIfEVG1P15A/zg5z5YObCPmslZYDeG3j7D2cUF9QvwT
Ks+MZUYXSIKCYDwPsHF+wo9lEh+2qbczY4Pno0SjamyrbZh6nUQ4aFVA2+6L+Pom
QKtoA+VxXkD4yayhkAEK9GLxXFknnerC09IEs9FePl2WW8TzSLH2orBT/W/+1762
n+MUiMgkb/r/CULaPCP6kmlceLCRUhdVogInSGV7R7RGyCUZNx30Foy2EFDsC4zs
CsKQ2rkYDYXKyJovnr8pTlKMLczlvBsDztwlVhsKHKd+qLz1G0fFBqOmI0ktXQnt
zVHIOmasuRWcoVXl
-----END CERTIFICATE-----
"""

ZONE_TWO = """\
-----BEGIN CERTIFICATE-----
MIIFGDCCA4CgAwIBAgIUbOw7KSJs9E1tYTVl0Y5UxZjnoXwwDQYJKoZIhvcNAQEL
BQAwgZIxNTAzBgsrBgEEAYOEGgEDAQwkYzUyMzJjOTYtMjliYy00Yzg5LWFmY2Qt
ZWU4ZTc3MmRmNTEzMTUwMwYLKwYBBAGDhBoBAwIMJDA1YjJkY2FlLWI5MjktNDg2
Ny05ZDI0LWZjMTRmYzJhM2UwZTEiMCAGA1UEAwwZRGVmYXVsdCBFbmNsYXZlIFpv
bmUgUm9vdDAeFw0yNDEwMTQxMDIyMjNaFw0yOTEwMTQxMDIyMjNaMIGSMTUwMwYL
KwYBBAGDhBoBAwEMJGM1MjMyYzk2LTI5YmMtNGM4OS1hZmNkLWVlOGU3NzJkZjUx
MzE1MDMGCysGAQQBg4QaAQMCDCQwNWIyZGNhZS1iOTI5LTQ4NjctOWQyNC1mYzE0
ZmMyYTNlMGUxIjAgBgNVBAMMGURlZmF1bHQgRW5jbGF2ZSBab25lIFJvb3QwggGi
MA0GCSqGSIb3DQEBAQUAA4IBjwAwggGKAoIBgQDbiPKi09IKYVN507z8l2hpWs92
kFwhfxwtp2m4wL61AGNwjJKYj+sX7cUsxZn3mq3RFtBM5DHH//6Fk70nXdfST+jG
2F1GXQXqnicLeqnFTvtPQW/tR4GqnpG5ck1vz99xmWDacgfYkcNImU2r8naojCUs
OR6mnOiOAOHrVIscNhuyhbIS8wlYeXjXKUbt4xBMZSzQXM4/sG4PvPdfnov8GUUY
Zwv31roMZBMq28nuuD2FcHi+jnwNwBztX3SggsIBtqREEVtAyomXnIuGu3wzNvH7
qnNFJb+WyAwtyfATK1QFgpIiwr/sttEc7SWSGrAJE1eJrda657o6pxEWMRUCNy01
ZgsseJQlRLoCrgbklpjmqny4w7kpN6u2lQ0whfU+0Y4PWhgpSzgqZsEnJ17/vs41
X3Xm5stSlNftFMmJa4ugBjOgsKmcJnokmBlhV6UHP4r24Zxw8qhXHd6Ve6sFyE0/
l4ix4VjRWGFms3XgPNwAYF2AQB+82ezS/XY7lO0CAwEAAaNkMGIwDwYDVR0TAQH/
BAUwAwEB/zAPBgNVHQ8BAf8EBQMDB4YAMB8GA1UdIwQYMBaAFKYkCG35BodJnsGO
sn8rLERR/gZ5MB0GA1UdDgQWBBSmJAht+QaHSZ7BjrJ/KyxEUf4GeTANBgkqhkiG
9w0BAQsFAAOCAYEAEkwQiDoeWZSKg1juQWVH7ND7ynbMQWWii4Gzf7ljpA6WjTCC
l4ZBfi1uzn5vQlLR6Hvtxt+RNPupolCmShPmi07Ykmch4K+vgX374HVJxyb4s39U
1IpIwucNxgtKATU+uPQ92yL0bf5K6RmOjr3tKslOTicWk1LBoclVqfqubeMAF3Ir
z3uPlbSFSWuEGmkGUS6VqpGfzzCVpztecOzQ3wMLMrd3/luugn0GzoKAjy5gAiIS
FqTC6xeYMy6YSlOioPqxsOckPOtpwtXI5cvTWdcqGq+tAxejAYmFj02Ct4MbljKg
1RDjE/wMYz9EdJY6qfIL3ygst4wDCqHTrBsCRpU4kkfo9EoY2aqYwx1DBH0iobVB
l1iKSjY777mhIMMuFl9+nOP+uuj1VF9chbkkH6s/eLBOKS5mPCr5IzJ2fGGCWRJ5
TLNdNknTwF9RjiQfnFes1dwn5U5CG1b0lVPekeK8XmLgrxLKSaSyufCtWiDuGnSw
l9PSKFeq622R9rXy
-----END CERTIFICATE-----
"""

PUBLISHED: dict[str, dict] = {
    "0d0374f1f982570abcbe0c687deb54a708d56744ff4b5356810352d9ec8ae495": {
        "config": {
            "app_config": {
                "/opt/fortanix/enclave-os/app-config/rw/harmonize.txt": {
                    "contents": "WyB7ICJiZWZvcmUiOiAiTGl2aW5nIiwgImFmdGVyIjogIkhhcHB5IiB9LCB7ICJiZWZvcmUiOiAiRGVjZWFzZWQiLCAiYWZ0ZXIiOiAiVW5oYXBweSIgfV0="
                }
            },
            "labels": {"location": "East US"},
            "zone_ca": [ZONE_ONE],
            "workflow": {
                "workflow_id": "93156096-5ed4-41ad-ae23-19e8fab1e0af",
                "app_name": "app-1",
                "port_map": {
                    "input": {"input-1": {"dataset": {"id": "141c73d4-36f2-4185-bc75-40e2f7f4f235"}}},
                    "output": {"output-1": {"dataset": {"id": "d63b3d7d-72a1-466d-8df2-8e18f3d647ea"}}},
                },
            },
        },
        "extra": {"connections": {}},
    },
    "c79839b310ca6c8ab281d05a3f3e9ebeddb4aa3f669c2c302110dead30894ce9": {
        "config": {
            "app_config": {"TestKey": {"contents": "U29tZXRoaW5nIG9mIHZhbHVl"}},
            "labels": {},
            "zone_ca": [ZONE_TWO],
            "workflow": {
                "workflow_id": "daf9b79a-1519-43ac-a519-08ea32840894",
                "app_name": "stlw0qv3t",
                "port_map": {},
                "app_acct_id": "c5232c96-29bc-4c89-afcd-ee8e772df513",
                "app_group_id": "5ce01a15-4c14-479c-834f-1ddd485dfeb2",
            },
        },
        "extra": {"connections": {}},
    },
    "2f4886ff1efa09773e3b656fb5b9a31d0439fdeecbe12d61a6767651466cbbc4": {
        "config": {
            "app_config": {},
            "labels": {"autoshutdown": "True", "location": "East US", "mxK4gaGv": "lLI6hgIA"},
            "zone_ca": ["Certificate"],
            "workflow": {
                "workflow_id": "c375e923-1390-4440-b9e6-ad9977557e5e",
                "app_name": "vZq7oNK9",
                "port_map": {
                    "input": {
                        "2RAsgVoI": {
                            "dataset": {
                                "id": "e97447d5-6e1f-4cc8-9a56-cf4502f9ddd0",
                                "acct_id": "c5232c96-29bc-4c89-afcd-ee8e772df513",
                                "group_id": "5ce01a15-4c14-479c-834f-1ddd485dfeb2",
                            }
                        }
                    },
                    "output": {
                        "bZbrS5DR": {
                            "dataset": {
                                "id": "0e7af6ec-4268-40ec-b341-cd17037dfb25",
                                "acct_id": "c5232c96-29bc-4c89-afcd-ee8e772df513",
                                "group_id": "5ce01a15-4c14-479c-834f-1ddd485dfeb2",
                            }
                        }
                    },
                },
                "app_acct_id": "c5232c96-29bc-4c89-afcd-ee8e772df513",
                "app_group_id": "5ce01a15-4c14-479c-834f-1ddd485dfeb2",
            },
        },
        "extra": {
            "connections": {
                "input": {
                    "2RAsgVoI": {
                        "dataset": {
                            "location": "some-location",
                            "credentials": {
                                "sdkms": {
                                    "credentials_url": "some-url",
                                    "credentials_key_name": "some-key",
                                    "sdkms_app_id": "0b73608a-0e2c-42e5-ba12-64f13e165120",
                                }
                            },
                        }
                    }
                },
                "output": {
                    "bZbrS5DR": {
                        "dataset": {
                            "location": "some-location",
                            "credentials": {
                                "sdkms": {
                                    "credentials_url": "some-url",
                                    "credentials_key_name": "some-key",
                                    "sdkms_app_id": "0b73608a-0e2c-42e5-ba12-64f13e165120",
                                }
                            },
                        }
                    }
                },
            }
        },
    },
    "43fd2e42e40365622fa81d3a3037b6ae130b552dc5f026d8c4168f89c7ff20c8": {
        "config": {
            "app_config": {},
            "labels": {"Um4J7P5P": "WSKsYIJs", "autoshutdown": "True", "location": "East US"},
            "zone_ca": [ZONE_TWO],
            "workflow": {
                "workflow_id": "c375e923-1390-4440-b9e6-ad9977557e5e",
                "app_name": "chncthgm6",
                "port_map": {
                    "input": {
                        "vZq7oNK9": {
                            "application": {
                                "acct_id": "c5232c96-29bc-4c89-afcd-ee8e772df513",
                                "group_id": "5ce01a15-4c14-479c-834f-1ddd485dfeb2",
                            }
                        }
                    }
                },
                "app_acct_id": "c5232c96-29bc-4c89-afcd-ee8e772df513",
                "app_group_id": "5ce01a15-4c14-479c-834f-1ddd485dfeb2",
            },
        },
        "extra": {
            "connections": {
                "input": {
                    "vZq7oNK9": {
                        "application": {
                            "workflow_domain": "vZq7oNK9.c375e923-1390-4440-b9e6-ad9977557e5e.workflow.fortanix.cloud"
                        }
                    }
                }
            }
        },
    },
}
"""The runtime configurations of the tests of https://github.com/fortanix/em-client-rust, by the SHA-256 given there."""


@pytest.fixture(params=PUBLISHED)
def published(request) -> dict:
    return {"expected_sha256": request.param, "runtime_app_config": PUBLISHED[request.param]}


def test_published_digests_are_reproduced(published):
    config = parse_runtime_app_config(json.dumps(published["runtime_app_config"]).encode())
    assert config.config.digest == published["expected_sha256"]


def test_order_of_what_is_given_does_not_matter(published):
    def turned(value):
        if isinstance(value, dict):
            return {name: turned(value[name]) for name in reversed(value)}
        return value

    config = HashedConfig.model_validate(turned(published["runtime_app_config"]["config"]))
    assert config.digest == published["expected_sha256"]


def test_configurations_become_folders_that_are_read(published, tmp_path):
    config = parse_runtime_app_config(json.dumps(published["runtime_app_config"]).encode())
    for path, data in config.files(lambda *_: DOCUMENT).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    connections = published["runtime_app_config"]["extra"]["connections"]
    app = connectors.load(tmp_path)
    assert sorted(app) == sorted(connections)
    for port, objects in connections.items():
        datasets = [name for name, one in objects.items() if "dataset" in one]
        assert sorted(app[port]) == datasets
    for path, item in published["runtime_app_config"]["config"]["app_config"].items():
        assert (tmp_path / Path(path).name).read_bytes().hex() == base64.b64decode(item["contents"]).hex()


def config_with(**changes) -> dict:
    connections = {"input": {"one": {"dataset": {"location": "s3://a/b"}}}}
    port_map = {"input": {"one": {"dataset": {"id": "141c73d4-36f2-4185-bc75-40e2f7f4f235"}}}}
    config = {
        "config": {
            "app_config": {},
            "labels": {},
            "zone_ca": [],
            "workflow": {
                "workflow_id": "93156096-5ed4-41ad-ae23-19e8fab1e0af",
                "app_name": "app-1",
                "port_map": port_map,
            },
        },
        "extra": {"connections": connections},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = config
        for name in parents:
            place = place[name]
        place[last] = value
    return config


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../escape",
        "/opt/fortanix/enclave-os/app-config/rw/../escape",
        "input/one/dataset/credentials.bin",
        "/opt/fortanix/enclave-os/app-config/rw/input/one/dataset/credentials.bin",
        "app-config.json",
        "folder/",
        "folder/.",
        "",
    ],
)
def test_item_cannot_leave_the_folder_or_replace_another_file(path):
    config = parse_runtime_app_config(json.dumps(config_with(config__app_config={path: {"contents": ""}})).encode())
    with pytest.raises(InvalidDocument, match="is not in"):
        config.files(lambda *_: DOCUMENT)


def test_what_is_not_hashed_may_not_add_connections():
    for connections in (
        {"input": {"two": {"dataset": {"location": "s3://a/b"}}}},
        {"more": {"one": {"dataset": {"location": "s3://a/b"}}}},
        {"input": {"one": {"application": {"workflow_domain": "x"}}}},
    ):
        config = parse_runtime_app_config(json.dumps(config_with(extra__connections=connections)).encode())
        with pytest.raises(InvalidDocument, match="is not connected as in the hashed part"):
            config.files(lambda *_: DOCUMENT)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ""])
def test_names_that_are_no_folders_are_refused(name):
    changed = config_with(extra__connections={"input": {name: {"dataset": {"location": "s3://a/b"}}}})
    with pytest.raises(InvalidDocument, match="cannot be a folder's name"):
        parse_runtime_app_config(json.dumps(changed).encode()).files(lambda *_: DOCUMENT)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"config": {}}', b"\xff", b'{"config": 1, "extra": {}}'])
def test_what_is_no_configuration_is_refused(data):
    with pytest.raises(InvalidDocument, match="this is not a runtime configuration of CCM"):
        parse_runtime_app_config(data)
