"""``connectors workflow submit``, ``tasks``, ``show``, ``status`` and ``identifiers``: make and show requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.cli.common import console, exit_codes
from connectors.cli.common.options import AsJson, example
from connectors.cli.workflow import render
from connectors.cli.workflow.changes import changes_of
from connectors.cli.workflow.context import (
    Acting,
    AllowLocal,
    Asked,
    PassphraseFile,
    StoreFolder,
    Yes,
    find_document,
    identities,
    open_draft,
    open_store,
    print_lines,
    show_and_sign,
    status_of,
)
from connectors.errors import ConfigError, InvalidDocument, NotApproved, NotSubmitted, UntrustedParty
from connectors.names import quoted
from connectors.workflow.documents.kinds import Decision, Placeholder, Submission
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.requests import Request, make_request
from connectors.workflow.trust.refusals import describe, not_approved
from connectors.workflow.trust.verification import Bundle

if TYPE_CHECKING:
    from connectors.workflow.store.contract import DocumentStore
    from connectors.workflow.trust.identities import Identities

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("submit", epilog=example("workflow submit 'Patient conditions'"))(submit)
    group.command("tasks")(tasks)
    group.command("show", epilog=example("workflow show 'Patient conditions'"))(show)
    group.command("status", epilog=example("workflow status 1f0c9a41"))(status)
    group.command("identifiers", epilog=example("workflow identifiers 1f0c9a41"))(identifiers)


def submit(
    name: Annotated[str, typer.Argument(metavar="DRAFT", help="The draft's name.")],
    *,
    expires_in: Annotated[
        int,
        typer.Option("--expires-in", metavar="SECONDS", min=1, help="The time to approve it; the default is 30 days."),
    ] = 30 * 24 * 3600,
    seen: Annotated[
        str | None,
        typer.Option(
            "--workflow",
            metavar="DIGEST",
            help="Sign only the workflow with this digest, which `show --json` prints; needed with --yes --json.",
        ),
    ] = None,
    allow_local: AllowLocal = False,
    yes: Yes = False,
    folder: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask all owners to approve a workflow: the request is shown, and you sign it.

    Submitting is not approving: if you own an object in it, approve the request too. A submitted workflow can no longer
    be changed: `clone` starts the next version, which needs a new request.
    """
    store, requester = open_store(folder), identities().choose(acting)
    draft = open_draft(store, name)
    if seen is not None and seen != draft.workflow.digest:
        message = (
            f"the draft {name!r} is not the workflow that --workflow names; look at it again with `connectors workflow "
            "show`; nothing was signed"
        )
        raise ConfigError(message)

    documents = {**store.closure(draft), requester.party.digest: requester.party}
    lifetime = timedelta(seconds=expires_in)
    request = make_request(draft.workflow, documents, requester.party, lifetime=lifetime, allow_local=allow_local)
    when = moment_text(datetime.now(UTC))
    submission = Submission.make(request=request.digest, party=requester.party.digest, when=when)
    envelope = show_and_sign(
        submission,
        request,
        requester,
        "asks for",
        passphrase_file,
        yes=yes,
        as_json=as_json,
        named=seen is not None,
    )
    store.submit(Bundle(request, envelope), name, draft)
    asked = ", ".join(quoted(request.party(digest).name) for digest in request.approvers)
    too = " You are one of them, and have not approved yet." if requester.party.digest in request.approvers else ""
    console.note(f"Signed. The approvers are {asked}.{too} Send them the request: connectors workflow export {name!r}")
    if as_json:
        members = request.model_dump(mode="json", exclude={"documents"})
        console.print_json({"request": request.digest, "name": name, **members})


def tasks(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Show all requests, including those that wait for others.")
    ] = False,
    folder: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """List your tasks: requests to decide on, and placeholders in drafts to fill."""
    store, known = open_store(folder), identities()
    own = {one.party.digest: one.name for one in known.all().values() if acting in (None, one.name)}
    if acting is not None:
        known.choose(acting)
    found = [*_requests(store, known, own, everything=everything), *_places(store, own)]
    if as_json:
        console.print_json(found)
    elif not found:
        console.note("You have no tasks.")
    else:
        rows = [[task[member] for member in ("task", "what", "name", "for", "state", "expires")] for task in found]
        console.table(("TASK", "REQUEST OR PLACE", "WORKFLOW", "FOR", "STATE", "EXPIRES"), rows)


def _requests(
    store: DocumentStore, known: Identities, own: dict[str, str], *, everything: bool
) -> list[dict[str, Any]]:

    found = []
    for request in store.documents(Request):
        try:
            bundle = store.bundle(request)
        except (InvalidDocument, NotApproved) as error:
            # A forged or incomplete request must not hide the others.
            console.error(exit_codes.describe(error)[1] or "", kind="warning")
            continue
        decided = {envelope.document(Decision).party for envelope in bundle.decisions}
        mine = [own[digest] for digest in request.approvers if digest in own and digest not in decided]
        try:
            state: str = status_of(bundle, known).state
        except UntrustedParty:
            state = "has an untrusted party"
        waits = bool(mine) and state not in ("declined", "expired", "revoked")
        if waits or everything:
            workflow = request.graph.workflow
            found.append(
                {
                    "task": "decide" if waits else "-",
                    "what": request.digest,
                    "name": workflow.name,
                    "version": workflow.version,
                    "for": ", ".join(mine) if waits else "-",
                    "requester": request.party(request.requester).name,
                    "state": state,
                    "expires": request.expires,
                }
            )
    return found


def _places(store: DocumentStore, own: dict[str, str]) -> list[dict[str, Any]]:

    return [
        {
            "task": "fill",
            "what": place,
            "name": name,
            "version": draft.workflow.version,
            "for": own[one.reserved_for],
            "wanted": one.wanted,
            "state": "draft",
            "expires": "-",
        }
        for name, draft in store.drafts().items()
        for place, one in draft.workflow.objects.items()
        if isinstance(one, Placeholder) and one.reserved_for in own
    ]


def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="A draft, a request or another document: its name, or the first digits of its digest."
        ),
    ],
    *,
    draft: Annotated[bool, typer.Option("--draft", help="Use the draft, if a request has the same name.")] = False,
    folder: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show a workflow: its objects and their owners, what reaches whom, and who has approved it.

    For a draft that was changed elsewhere, show what was changed since the last revision that was made here. For any
    other document, show its content.
    """
    store = open_store(folder)
    found = find_document(store, what, draft=draft)

    if isinstance(found, tuple):
        name, drafted = found
        graph, changes = store.graph(drafted.workflow), changes_of(store, name, drafted)
        if as_json:
            changed = {} if changes is None else {"changed": changes.members()}
            console.print_json({"draft": name, "revision": drafted.revision, **render.graph_json(graph), **changed})
        else:
            print_lines([*render.draft_lines(drafted, graph), *(() if changes is None else changes.lines())])
    elif isinstance(found, Request):
        _show_request(store, found, as_json=as_json)
    elif as_json:
        console.print_json({"digest": found.digest, **found.members()})
    else:
        print_lines(render.document_lines(found))


def _show_request(store: DocumentStore, request: Request, *, as_json: bool) -> None:

    members: dict[str, Any]
    try:
        bundle = store.bundle(request)
        found = status_of(bundle, identities())
    except (NotSubmitted, UntrustedParty) as error:
        members = {"state": None, "problem": str(error)}
        lines = [f"approvals: not verified: {error}"]
    else:
        members = render.status_json(bundle, found)
        lines = render.status_lines(bundle, found)
    if as_json:
        console.print_json({"request": request.digest, **render.graph_json(request.graph), **members})
    else:
        print_lines([*render.request_lines(request), *lines])


def status(what: Asked, *, folder: StoreFolder = None, as_json: AsJson = False) -> None:
    """Show the status of a request: pending, approved, declined, expired or revoked, and by whom."""
    store = open_store(folder)

    bundle = store.bundle(store.find(what, Request))
    found = status_of(bundle, identities())
    if as_json:
        console.print_json(render.status_json(bundle, found))
    else:
        print_lines([f"{found.state}: {describe(bundle.request, found)}", *render.status_lines(bundle, found)[1:]])


def identifiers(what: Asked, *, folder: StoreFolder = None, as_json: AsJson = False) -> None:
    """Print the identifier of each application of an approved request.

    The identifier is the digest of the application's runtime config, and is bound into its attestation. It is the same
    for every party.
    """
    store = open_store(folder)

    request = store.find(what, Request)
    found = status_of(store.bundle(request), identities())
    if found.state != "approved":
        raise not_approved(request, found)
    configs = render.identifiers(request)
    if as_json:
        console.print_json(configs)
    else:
        for name, identifier in configs.items():
            print_lines([f"{identifier}  {name}"])
