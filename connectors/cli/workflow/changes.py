"""What was changed in a draft elsewhere, since the store's own revision, in words and as JSON.

Nobody signs a draft, so the words say what was changed and whose objects it is about, but not who changed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.workflow.review.difference import compare
from connectors.workflow.review.wording import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.workflow.documents.drafts import Draft
    from connectors.workflow.documents.graph import Graph
    from connectors.workflow.review.difference import Difference
    from connectors.workflow.store.contract import DocumentStore

__all__ = ["SHOWN", "Changes", "changes_of", "shortened"]

SHOWN = 100
"""The most sentences under one title; the important titles come first."""


@dataclass(frozen=True)
class Changes:
    """How a draft differs from the store's own revision of it.

    Attributes:
        since: the own revision.
        before: its workflow.
        after: the workflow of the draft.
        difference: what is different.
    """

    since: Draft
    before: Graph
    after: Graph
    difference: Difference

    def lines(self, more: str | None = None) -> list[str]:
        """Return the changes in words.

        Args:
            more: what shows all sentences, if at most `SHOWN` of a kind are to be returned.
        """
        if not self.difference:
            return [f"the workflow is the same as in revision {self.since.revision}"]
        words = in_words(self.difference, self.before, self.after)
        found = [f"what was changed elsewhere since revision {self.since.revision}"]
        for title, sentences in (words if more is None else shortened(words, more)).items():
            found += [f"  {title}", *(f"    {sentence}" for sentence in sentences)]
        return found

    def members(self) -> dict[str, Any]:
        """Return the changes as JSON members."""
        return {"since": self.since.revision, **self.difference.members()}


def changes_of(store: DocumentStore, name: str, draft: Draft) -> Changes | None:
    """Return how a draft differs from the store's own revision, or None if it is that revision.

    Raises:
        InvalidDocument: the own revision is not a draft, or a document that one of the two refers to is missing.
    """
    own = store.own_revision(name)
    if own is None or own.digest == draft.digest:
        return None
    before, after = store.graph(own.workflow), store.graph(draft.workflow)
    return Changes(own, before, after, compare(before, after))


def shortened(words: Mapping[str, list[str]], more: str) -> dict[str, list[str]]:
    """Return at most `SHOWN` sentences under each title, and how many are left out; `more` is what shows these."""
    return {
        title: sentences
        if len(sentences) <= SHOWN
        else [*sentences[:SHOWN], f"… and {len(sentences) - SHOWN:,} more; {more}"]
        for title, sentences in words.items()
    }
