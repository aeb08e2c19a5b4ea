"""The verbs of identities: making and listing them, and trusting those of others."""

from __future__ import annotations

from three_people import NAME


def test_identities_are_listed_and_shown_without_their_keys(people):
    clinic = people["clinic"]
    lines = [line.split("  ")[0] for line in clinic.run("identity", "list").splitlines()]
    assert lines[:4] == ["IDENTITY", "clinic", "", "TRUSTED"]
    assert set(lines[4:]) == {"Lab B", "Registry C"}
    shown = clinic.json("identity", "show")
    assert (shown["name"], shown["identity"], len(shown["digest"])) == ("Clinic A", "clinic", 64)
    assert shown["digest"] in clinic.run("identity", "show", "clinic")
    assert "PRIVATE" not in clinic.run("identity", "export")


def test_identity_needs_one_way_to_keep_its_key(people):
    clinic = people["clinic"]
    for words, message in (
        (["--unencrypted", "--passphrase-file", "x"], "use only one of --passphrase-file, --unencrypted and --signer"),
        (["--signer", "hsm:"], "--signer and --public-key need each other"),
        (["--passphrase-file", "nowhere"], "there is no passphrase file 'nowhere'"),
        ([], "the new passphrase of x cannot be asked for without a terminal; use --passphrase-file FILE"),
    ):
        assert message in clinic.mistake("identity", "new", "x", "--contact", "x", *words)
    assert "the identity 'clinic' already exists and was not changed" in clinic.mistake(
        "identity", "new", "clinic", "--contact", "x"
    )


def test_party_is_trusted_by_a_file_or_its_whole_digest(people):
    clinic = people["clinic"]
    digest = people["lab"].json("identity", "show")["digest"]
    assert "there is no file" in clinic.mistake("identity", "trust", digest[:12], "--yes")
    assert [one["new"] for one in clinic.json("identity", "trust", digest, "../lab.json", "--yes")] == [False, False]
    assert "confirmation needs a terminal; --yes" in clinic.call("identity", "trust", digest).err
    (clinic.folder / "no-party.json").write_text("{}")
    assert "this is not of the kind 'party'" in clinic.mistake("identity", "trust", "no-party.json", "--yes")


def test_as_names_one_of_several_identities(asked):
    clinic = asked["clinic"]
    clinic.run("identity", "new", "other", "--contact", "o", "--unencrypted")
    assert "say as whom: --as NAME, one of clinic, other" in clinic.mistake("workflow", "approve", NAME, "--yes")
    assert "'other' owns nothing in the workflow" in clinic.mistake(
        "workflow", "approve", NAME, "--as", "other", "--yes"
    )
    clinic.run("workflow", "approve", NAME, "--as", "clinic", "--yes")


def test_the_digest_to_compare_stands_alone_and_last(people):
    clinic = people["clinic"]
    contact = "data@clinic.example".ljust(70) + "  digest   " + "ab" * 32
    clinic.run("identity", "new", "eve", "--party-name", "Clinic A", "--contact", contact, "--unencrypted")
    lines = clinic.run("identity", "show", "eve").splitlines()
    assert lines[0] == "'Clinic A'"
    assert lines[1].startswith("  contact  'data@clinic.example \\x20\\x20")
    assert (lines[-2], lines[-1].split()) == ("", ["digest", clinic.json("identity", "show", "eve")["digest"]])
