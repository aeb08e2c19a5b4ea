"""Draw a workflow as an SVG picture, for browsers and documents, in light and dark.

Texts in it come from untrusted parties. They are drawn as text only: the picture has no scripts, links or references,
and each box clips what would be drawn outside it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from connectors.names import printable, quoted
from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument
from connectors.workflow.review.layout import arrange
from connectors.workflow.review.naming import address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.workflow.documents.graph import Graph
    from connectors.workflow.trust.verification import Status

__all__ = ["draw"]

WIDTH = 248
"""Width of a box. All sizes here are in pixels."""
MARGIN = 32
HEAD = 72
WIDEST_HEAD = 640
"""Width up to which a title may widen the picture."""
TEXT_LEFT = 40
ROOM = WIDTH - TEXT_LEFT - 16
LINE = 17
PORT_LINE = 20
DOT = 4
TIP = 8

_STYLE = """
.paper{fill:#ffffff}.box{fill:#f8fafc;stroke:#94a3b8;stroke-width:1.2}.place{stroke-dasharray:6 4;fill:#ffffff}
.rule{stroke:#e2e8f0;stroke-width:1}text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
font-size:12px;fill:#475569}.title{font-size:19px;font-weight:600;fill:#0f172a}.name{font-size:13.5px;font-weight:600;
fill:#0f172a}.id{font-size:11px;fill:#64748b}.port{font-size:11.5px}.link{fill:none;stroke:#94a3b8;stroke-width:1.5}
.tip{fill:#94a3b8}.icon{fill:none;stroke-width:1.6}.input{stroke:#2563eb}.output{stroke:#15803d}.both{stroke:#0f766e}
.app{stroke:#7c3aed}.wanted{stroke:#64748b}.dot{stroke-width:1.6;fill:#ffffff}.approved{fill:#15803d;font-weight:700}
.missing{fill:#94a3b8}.against{fill:#dc2626;font-weight:700}g.link-group:hover .link{stroke:#2563eb;stroke-width:2.5}
"""
_DARK = """
.paper{fill:#0f172a}.box{fill:#1e293b;stroke:#64748b}.place{fill:#0f172a}.rule{stroke:#334155}text{fill:#cbd5e1}
.title,.name{fill:#f1f5f9}.id{fill:#94a3b8}.link{stroke:#64748b}.tip{fill:#64748b}.input{stroke:#60a5fa}
.output{stroke:#4ade80}.both{stroke:#2dd4bf}.app{stroke:#a78bfa}.wanted{stroke:#94a3b8}.dot{fill:#0f172a}
.approved{fill:#4ade80}.missing{fill:#94a3b8}.against{fill:#f87171}g.link-group:hover .link{stroke:#60a5fa}
"""
SIZES = {"title": 20, "name": 14.5, "id": 11, "owner": 12, "port": 11.5}
"""Sizes of letters, by style; for bold text a little more than the font size."""
_MARKS = {"approved": "\u2713", "missing": "\u25cb", "against": "\u2717"}
_ICONS = {
    "dataset": '<path class="icon {0}" d="M12 {1}v14c0 4 14 4 14 0v-14c0 -4 -14 -4 -14 0c0 4 14 4 14 0"/>',
    "app": '<path class="icon {0}" d="M12 {1}h14v14h-14zm4 4h6v6h-6zM15 {1}v-3m8 3v-3m-8 17v3m8 -3v3"/>',
}
_NARROW = frozenset("iljtfrI.,:;'|!()[]{} -")
_BROAD = frozenset("mwMW@%")


@dataclass
class _Box:
    """An object as drawn.

    Attributes:
        kind: "dataset" or "app".
        style: the CSS class: a dataset's direction, "app" or "wanted".
        name: its name, in one or two lines.
        owners: lines that name the owners, each with the party's digest.
        use: a dataset's direction; empty for an application.
        placeholder: whether it is a place that is not filled yet.
        title: the whole text, for the tooltip.
        reads: the ports on its left, with the ids of the objects connected there.
        writes: the ports on its right.
    """

    kind: str
    style: str
    name: list[str]
    owners: list[tuple[str, str]]
    use: str
    placeholder: bool
    title: str
    reads: dict[str, list[str]] = field(default_factory=dict)
    writes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def head(self) -> float:
        """Distance from its top to its ports."""
        return 34 + LINE * (len(self.name) + len(self.owners))

    @property
    def height(self) -> float:
        ports = max(len(self.reads), len(self.writes))
        return self.head + (ports * PORT_LINE + 4 if ports else 0)


def draw(graph: Graph, status: Status | None = None) -> str:
    """Return an SVG of a workflow.

    Args:
        graph: the workflow with the documents that it refers to.
        status: the approvals, to show beside each owner.
    """
    boxes = {name: _box(graph, name) for name in sorted(graph.nodes)}
    for edge in graph.workflow.edges:
        if edge.source.port is not None:
            boxes[edge.source.id].writes.setdefault(edge.source.port, []).append(edge.target.id)
        if edge.target.port is not None:
            boxes[edge.target.id].reads.setdefault(edge.target.port, []).append(edge.source.id)
    links = list(dict.fromkeys((edge.source.id, edge.target.id) for edge in graph.workflow.edges))
    found = arrange({name: box.height for name, box in boxes.items()}, links, WIDTH)
    shift = {name: (x + MARGIN, y + HEAD + MARGIN) for name, (x, y) in found.corners.items()}
    for box in boxes.values():
        for ports in (box.reads, box.writes):
            _sort_ports(ports, shift)
    title, subtitle = graph.workflow.name, _subtitle(graph, status)
    width = (
        max(found.width, min(max(_length(title, SIZES["title"]), _length(subtitle, SIZES["id"])), WIDEST_HEAD))
        + 2 * MARGIN
    )
    height = found.height + HEAD + 2 * MARGIN
    size = f'width="{_n(width)}" height="{_n(height)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_n(width)} {_n(height)}" role="img">',
        f"<title>{_safe(title)}</title>",
        f"<style>{_STYLE}@media (prefers-color-scheme:dark){{{_DARK}}}</style>".replace("\n", ""),
        f'<rect class="paper" {size}/>',
        f'<svg width="{_n(width)}" height="{HEAD + MARGIN / 2:g}">',
        _line("title", MARGIN, 46, title, width - 2 * MARGIN),
        _line("id", MARGIN, 68, subtitle, width - 2 * MARGIN),
        "</svg>",
        *_links(graph, boxes, shift, dict(zip(links, found.bends, strict=True))),
        *(piece for name, box in boxes.items() for piece in _drawn(name, box, shift[name], status)),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _box(graph: Graph, name: str) -> _Box:
    node = graph.nodes[name]
    parties = [(graph.party(digest).name, digest) for digest in graph.owners_of(name)]
    owner = _named(*parties[0])
    if isinstance(node, DatasetDocument):
        sealed = f"sealed as {node.encryption}" if node.encryption else "not sealed"
        title = f"{quoted(name)}: the dataset {quoted(node.name)}, of {owner}, at {address(node.location)}, {sealed}"
        use = node.direction
        return _Box("dataset", use, _wrapped(node.name), parties, use, placeholder=False, title=title)
    if isinstance(node, AppConfigDocument):
        program = graph.application(node)
        title = (
            f"{quoted(name)}: the application {quoted(node.name)}, of {owner}; runs {quoted(program.name)}, of "
            f"{_named(*parties[1])}; measured as {node.build.measurement}"
        )
        runs = f"runs {program.name}, of {parties[1][0]}"
        owners = parties[:1] if parties[0][1] == parties[1][1] else [parties[0], (runs, parties[1][1])]
        return _Box("app", "app", _wrapped(node.name), owners, "", placeholder=False, title=title)
    wanted = {"app": "an application", "dataset": "a dataset"}[node.wanted]
    purpose = f", for {quoted(node.purpose)}" if node.purpose else ""
    title = f"{quoted(name)}: a place for {wanted} from {owner}{purpose}"
    owners = [(f"waiting for {parties[0][0]}", parties[0][1])]
    shown = _wrapped(node.purpose or f"({wanted})")
    return _Box(node.wanted, "wanted", shown, owners, "", placeholder=True, title=title)


def _named(party: str, digest: str) -> str:
    return f"{quoted(party)} ({digest[:16]})"


def _subtitle(graph: Graph, status: Status | None) -> str:
    apps = sum(graph.is_app(name) for name in graph.nodes)
    counts = [_counted(len(graph.nodes) - apps, "dataset"), _counted(apps, "application")]
    text = f"version {graph.workflow.version}, {', '.join(counts)}"
    if status is None:
        return text
    asked = len(graph.owners())
    return f"{text}; {status.state}: approved by {len(status.approved):,} of {_counted(asked, 'party')}"


def _counted(count: int, noun: str) -> str:
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def _sort_ports(ports: dict[str, list[str]], corners: dict[str, tuple[float, float]]) -> None:
    """Order ports by the position of the connected boxes, so that links to one box do not cross."""
    heights = {port: sum(corners[name][1] for name in names) / len(names) for port, names in ports.items()}
    ordered = sorted(ports, key=lambda port: (heights[port], port))
    names = [ports[port] for port in ordered]
    ports.clear()
    ports.update(zip(ordered, names, strict=True))


def _row(ports: dict[str, list[str]], port: str | None, box: _Box) -> float:
    """Return the distance from a box's top to the end of a link."""
    if port is None:
        return box.height / 2
    return box.head + 10 + PORT_LINE * list(ports).index(port)


def _links(
    graph: Graph,
    boxes: dict[str, _Box],
    corners: dict[str, tuple[float, float]],
    bends: dict[tuple[str, str], list[tuple[float, float]]],
) -> Iterator[str]:
    for edge in graph.workflow.edges:
        source, target = boxes[edge.source.id], boxes[edge.target.id]
        (left, top), (right, below) = corners[edge.source.id], corners[edge.target.id]
        start = (left + WIDTH + (DOT if edge.source.port else 0), top + _row(source.writes, edge.source.port, source))
        x, y = right - (DOT if edge.target.port else 0), below + _row(target.reads, edge.target.port, target)
        end = (x - TIP, y)
        between = [(x + MARGIN, y + HEAD + MARGIN) for x, y in bends[edge.source.id, edge.target.id]]
        shown = " \u2192 ".join(
            one.id if one.port is None else f"{one.id}, port {one.port}" for one in (edge.source, edge.target)
        )
        yield f'<g class="link-group"><title>{_safe(shown)}</title>'
        yield f'<path class="link" d="{_curve([start, *between, end])}"/>'
        yield f'<path class="tip" d="M{_n(x)} {_n(y)}l-9 -4.5v9z"/></g>'


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Return a path through points, horizontal at each of them."""
    x, y = points[0]
    path = [f"M{_n(x)} {_n(y)}"]
    for number, (right, below) in enumerate(points[1:]):
        # A link crosses a column in a straight line.
        if number % 2 and number < len(points) - 2:
            path.append(f"L{_n(right)} {_n(below)}")
        else:
            reach = max(abs(right - x) / 2, 40)
            path.append(f"C{_n(x + reach)} {_n(y)} {_n(right - reach)} {_n(below)} {_n(right)} {_n(below)}")
        x, y = right, below
    return "".join(path)


def _drawn(name: str, box: _Box, corner: tuple[float, float], status: Status | None) -> Iterator[str]:
    x, y = corner
    round_ = 22 if box.kind == "dataset" else 7
    place = f'x="{_n(x)}" y="{_n(y)}" width="{WIDTH}" height="{_n(box.height)}"'
    dashed = " place" if box.placeholder else ""
    yield f'<g><title>{_safe(box.title)}</title><rect class="box{dashed}" {place} rx="{round_}"/>'
    yield f"<svg {place}>"  # clips what lies outside
    yield _ICONS[box.kind].format(box.style, 18)
    for number, line in enumerate(box.name):
        yield _line("name", TEXT_LEFT, 24 + LINE * number, line, ROOM)
    below = 24 + LINE * len(box.name)
    yield _line("id", TEXT_LEFT, below, name, ROOM - (60 if box.use else 0))
    if box.use:
        yield _line("id", WIDTH - 16, below, box.use, 60, anchor="end")
    for text, digest in box.owners:
        below += LINE
        yield _line("owner", TEXT_LEFT, below, text, ROOM - (24 if status else 0), end=f" {digest[:8]}")
        if status is not None:
            mark = _mark(digest, status)
            yield f'<text class="{mark}" x="{WIDTH - 28}" y="{below}">{_MARKS[mark]}<title>{mark}</title></text>'
    if box.reads or box.writes:
        yield f'<path class="rule" d="M0 {_n(box.head - 3)}h{WIDTH}"/>'
    half = (WIDTH / 2 if box.reads and box.writes else WIDTH) - 18
    for ports, left, anchor in ((box.reads, 12, "start"), (box.writes, WIDTH - 12, "end")):
        for number, port in enumerate(ports):
            yield _line("port", left, box.head + 14 + PORT_LINE * number, port, half, anchor=anchor)
    yield "</svg>"
    for ports, side in ((box.reads, x), (box.writes, x + WIDTH)):
        for number in range(len(ports)):
            row = y + box.head + 10 + PORT_LINE * number
            yield f'<circle class="dot {box.style}" cx="{_n(side)}" cy="{_n(row)}" r="4"/>'
    yield "</g>"


def _mark(digest: str, status: Status) -> str:
    if digest in status.against:
        return "against"
    return "approved" if digest in status.approved else "missing"


def _line(style: str, x: float, y: float, text: str, room: float, *, anchor: str = "start", end: str = "") -> str:
    """Return one line of text, cut to the given room but for its end; the whole text is then in its title."""
    text = printable(text)
    shown = _cut(text, room - _length(end, SIZES[style]), SIZES[style])
    title = f"<title>{_safe(text)}</title>" if shown != text else ""
    side = ' text-anchor="end"' if anchor == "end" else ""
    return f'<text class="{style}" x="{_n(x)}" y="{_n(y)}"{side}>{_safe(shown + end)}{title}</text>'


def _wrapped(name: str) -> list[str]:
    """Return a name as one line, or as two if it is long and has a space to break at."""
    fitting = len(_cut(name, ROOM, SIZES["name"]).removesuffix("\u2026"))
    place = name.rfind(" ", 0, fitting + 1)
    return [name] if fitting >= len(name) or place < 0 else [name[:place], name[place + 1 :]]


def _cut(text: str, room: float, size: float) -> str:
    length, kept = 0.0, 0
    for place, letter in enumerate(text):
        length += _letter(letter) * size
        if length > room:
            return text[:kept].rstrip() + "\u2026"
        if length + size <= room:  # an ellipsis would still fit
            kept = place + 1
    return text


def _length(text: str, size: float) -> float:
    """Estimate the length of a line, rather too long than too short: the font is not known."""
    return sum(map(_letter, text)) * size


def _letter(letter: str) -> float:
    if letter in _NARROW:
        return 0.38
    if letter in _BROAD or letter.isupper():
        return 0.78 if letter not in _BROAD else 0.98
    return 1.05 if unicodedata.east_asian_width(letter) in "WF" else 0.62


def _safe(text: str) -> str:
    """Return text escaped for XML, with invisible characters and those that change its direction made visible."""
    return escape(printable(text))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
