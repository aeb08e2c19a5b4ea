"""``connectors workflow submit``, and what people ask about requests: what waits for them, how one stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import describe
from connectors.cli.common.options import AsJson, example
from connectors.cli.workflow.context import (
    Acting,
    Asked,
    PassphraseFile,
    StoreFolder,
    Yes,
    find_anything,
    identities,
    open_draft,
    open_store,
    say_lines,
    signed,
    status_of,
)
from connectors.errors import InvalidDocument, NotApproved, NotSubmitted, UntrustedParty

if TYPE_CHECKING:
    from connectors.workflow.documents.requests import Request
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
    name: Annotated[str, typer.Argument(metavar="DRAFT", help="The draft, by its name.")],
    *,
    expires_in: Annotated[
        int,
        typer.Option("--expires-in", metavar="SECONDS", min=1, help="How long the parties have; 30 days if not given."),
    ] = 30 * 24 * 3600,
    yes: Yes = False,
    store: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask all who own something in a workflow to approve it, as it is now: sign the request, which is shown first.

    Asking is not approving: if something in it is yours, approve it too. What was asked about cannot be changed any
    more: `clone` begins the next version, which is asked about anew.
    """
    kept, requester = open_store(store), identities().choose(acting)
    draft = open_draft(kept, name)
    from connectors.workflow.documents.kinds import Submission  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.model import moment_text  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.requests import make_request  # noqa: PLC0415 - the extra
    from connectors.workflow.trust.verification import Bundle  # noqa: PLC0415 - the extra

    documents = {**kept.closure(draft), requester.party.digest: requester.party}
    request = make_request(draft.workflow, documents, requester.party, lifetime=timedelta(seconds=expires_in))
    when = moment_text(datetime.now(UTC))
    submission = Submission.make(request=request.digest, party=requester.party.digest, when=when)
    envelope = signed(submission, request, requester, "asks for", passphrase_file, yes=yes, as_json=as_json)
    kept.submit(Bundle(request, envelope), name, draft)
    asked = ", ".join(request.party(digest).name for digest in request.approvers)
    too = " You are among them, and have not approved yet." if requester.party.digest in request.approvers else ""
    console.note(f"Signed. Asked are {asked}.{too} Give them the request: connectors workflow export {name!r}")
    if as_json:
        members = request.model_dump(mode="json", exclude={"documents"})
        console.say_json({"request": request.digest, "name": name, **members})


def tasks(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Show all requests, also those that wait for others.")
    ] = False,
    store: StoreFolder = None,
    acting: Acting = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for you: requests to decide, and places in drafts to fill."""
    kept, known = open_store(store), identities()
    own = {one.party.digest: one.name for one in known.all().values() if acting in (None, one.name)}
    if acting is not None:
        known.choose(acting)
    found = [*_requests(kept, known, own, everything=everything), *_places(kept, own)]
    if as_json:
        console.say_json(found)
    elif not found:
        console.note("Nothing waits for you.")
    else:
        rows = [[task[member] for member in ("task", "what", "name", "for", "state", "expires")] for task in found]
        console.table(("TASK", "REQUEST OR PLACE", "WORKFLOW", "FOR", "STATE", "EXPIRES"), rows)


def _requests(
    store: DocumentStore, known: Identities, own: dict[str, str], *, everything: bool
) -> list[dict[str, Any]]:
    from connectors.workflow.documents.kinds import Decision  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra

    found = []
    for request in store.documents(Request):
        try:
            bundle = store.bundle(request)
        except (InvalidDocument, NotApproved) as error:
            # Whoever has put something false there, or taken something away, keeps nobody from the other requests.
            console.error(describe(error)[1] or "", kind="warning")
            continue
        decided = {envelope.document(Decision).party for envelope in bundle.decisions}
        mine = [own[digest] for digest in request.approvers if digest in own and digest not in decided]
        try:
            state: str = status_of(bundle, known).state
        except UntrustedParty:
            state = "with a party that you do not trust"
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
    from connectors.workflow.documents.kinds import Placeholder  # noqa: PLC0415 - the extra

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
        str, typer.Argument(metavar="WHAT", help="A draft, a request or another document: name, or digits of a digest.")
    ],
    *,
    draft: Annotated[bool, typer.Option("--draft", help="The draft, where a request has its name too.")] = False,
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show a workflow: its objects and their owners, what reaches whom, and who has approved it.

    Of any other document, show what it says.
    """
    kept = open_store(store)
    found = find_anything(kept, what, draft=draft)
    from connectors.cli.workflow import render  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra

    if isinstance(found, tuple):
        name, drafted = found
        graph = kept.graph(drafted.workflow)
        if as_json:
            console.say_json({"draft": name, "revision": drafted.revision, **render.graph_json(graph)})
        else:
            head = f"{render.title(graph)}, a draft at revision {drafted.revision}"
            say_lines([head, *render.graph_lines(graph)])
    elif isinstance(found, Request):
        _show_request(kept, found, as_json=as_json)
    elif as_json:
        console.say_json({"digest": found.digest, **found.members()})
    else:
        say_lines(render.document_lines(found))


def _show_request(store: DocumentStore, request: Request, *, as_json: bool) -> None:
    from connectors.cli.workflow import render  # noqa: PLC0415 - the extra

    stands: dict[str, Any]
    try:
        bundle = store.bundle(request)
        found = status_of(bundle, identities())
    except (NotSubmitted, UntrustedParty) as error:
        stands = {"state": None, "problem": str(error)}
        lines = [f"approvals: they say nothing yet: {error}"]
    else:
        stands = render.status_json(bundle, found)
        lines = render.status_lines(bundle, found)
    if as_json:
        console.say_json({"request": request.digest, **render.graph_json(request.graph), **stands})
    else:
        say_lines([*render.request_lines(request), *lines])


def status(what: Asked, *, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Tell how a request stands: pending, approved, declined, expired or revoked, and by whom."""
    kept = open_store(store)
    from connectors.cli.workflow.render import status_json, status_lines  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra
    from connectors.workflow.trust.refusals import describe  # noqa: PLC0415 - the extra

    bundle = kept.bundle(kept.find(what, Request))
    found = status_of(bundle, identities())
    if as_json:
        console.say_json(status_json(bundle, found))
    else:
        say_lines([f"{found.state}: {describe(bundle.request, found)}", *status_lines(bundle, found)[1:]])


def identifiers(what: Asked, *, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Print the identifier of each application of an approved request.

    It is the digest of what the application runs on, and is bound into its attestation. Everybody who has approved gets
    the same.
    """
    kept = open_store(store)
    from connectors.cli.workflow import render  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra
    from connectors.workflow.trust.refusals import not_approved  # noqa: PLC0415 - the extra

    request = kept.find(what, Request)
    found = status_of(kept.bundle(request), identities())
    if found.state != "approved":
        raise not_approved(request, found)
    configs = render.identifiers(request)
    if as_json:
        console.say_json(configs)
    else:
        for name, identifier in configs.items():
            say_lines([f"{identifier}  {name}"])
