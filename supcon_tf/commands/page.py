"""Web pages in one file, which need no network."""

from supcon_tf.commands.markup import Content, Markup, element, join

# Ten colors that are distinguishable with a color vision deficiency (Petroff, 2021,
# https://arxiv.org/abs/2107.02270), darker on white and lighter on black for a contrast of 3.
# A shape or a name always accompanies a color.
_LIGHT = (
    "#3a86cb",
    "#c07f00",
    "#bd1f01",
    "#7b8b89",
    "#832db6",
    "#a96b59",
    "#db5d00",
    "#948746",
    "#5f636e",
    "#2b9298",
)
_DARK = (
    "#6cb0ee",
    "#ffb938",
    "#f0604a",
    "#a9b8b6",
    "#c07cf0",
    "#cc9583",
    "#ff8a3d",
    "#cabf8a",
    "#979ba8",
    "#92dadd",
)
CLASS_COLORS = len(_LIGHT)

_STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f5f6f8; --text: #1c1f26; --muted: #59606d; --line: #d5d9e0;
  --accent: #2f6fb5; --good: #19753c; --bad: #b3261e;
  --right-cell: #8fbdf0; --wrong-cell: #f2988f; --other: #a3abb8; LIGHT
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --panel: #1d2128; --text: #e8eaee; --muted: #a5adba; --line: #3a404b;
    --accent: #7ab4f5; --good: #62c987; --bad: #ff8a80;
    --right-cell: #235b96; --wrong-cell: #8f2d26; --other: #626a78; DARK
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; background: var(--page);
  color: var(--text); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .5rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.note { color: var(--muted); font-size: .9rem; }
code { font-size: .9em; background: var(--panel); padding: .1em .35em; border-radius: 4px; }
li { margin: .4rem 0; max-width: 46rem; }
summary { cursor: pointer; color: var(--accent); margin: .6rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem;
  margin: 1.2rem 0; }
.tile { background: var(--panel); border-radius: 8px; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; }
.tile span { color: var(--muted); font-size: .85rem; display: block; line-height: 1.35; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: left; }
.list { width: 100%; max-width: 46rem; font-size: .92rem; }
.list th, .list td { padding: .28rem .7rem .28rem 0; vertical-align: middle; }
.list thead th { color: var(--muted); font-size: .85rem; border-bottom: 1px solid var(--line); }
.list tbody th { font-weight: 400; }
.list tbody th, .list td.name { min-width: 6.5rem; }
.list .number { text-align: right; padding-left: .5rem; overflow-wrap: normal; }
.list td.number { white-space: nowrap; }
.bar { width: 35%; min-width: 3.5rem; }
.bar i { display: block; height: .75rem; min-width: 1px; background: var(--accent);
  border-radius: 2px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr));
  gap: 1.2rem; }
figure { margin: 0; }
.map { max-width: 46rem; }
figcaption { font-size: .9rem; color: var(--muted); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--muted); font-size: 12px; font-family: system-ui, sans-serif; }
svg .grid { stroke: var(--line); stroke-width: 1; fill: none; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .dashed { stroke-dasharray: 5 4; }
svg .dot { stroke: var(--page); stroke-width: .6; }
svg .dot:hover { stroke: var(--text); stroke-width: 1.5; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0;
  margin: .5rem 0; font-size: .88rem; }
.key li { display: flex; align-items: center; gap: .4rem; margin: 0; }
.key svg { width: 1.4rem; height: .9rem; flex: none; }
.pointed { min-height: 2.8em; }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr));
  gap: 1rem .8rem; }
.images figure, .neighbors figure { font-size: .82rem; line-height: 1.35; }
.images figcaption, .neighbors figcaption { font-size: inherit; padding-top: .25rem; }
.images b, .neighbors b { color: var(--text); }
.picture { display: grid; place-items: center; width: 100%; aspect-ratio: 1; text-align: center;
  background: var(--panel); border-radius: 4px; overflow: hidden; color: var(--muted); }
.picture img { width: 100%; height: 100%; object-fit: contain; display: block; }
.small { image-rendering: pixelated; }
.right .picture, .wrong .picture { padding: 3px; }
.right .picture { border: 3px solid var(--good); }
.wrong .picture { border: 3px dashed var(--bad); }
.neighbors { display: grid; grid-template-columns: 7.5rem 1fr; gap: 1.1rem; padding: 1rem 0;
  border-top: 1px solid var(--line); }
.neighbors .images { grid-template-columns: repeat(auto-fill, minmax(5.6rem, 1fr)); }
.frames span { display: inline-block; width: 1.3rem; height: 1.3rem; border-radius: 4px; }
.frames .right { border: 3px solid var(--good); }
.frames .wrong { border: 3px dashed var(--bad); }
.frames .unknown { background: var(--panel); border: 1px solid var(--line); }
.matrix { font-size: .8rem; }
.matrix td { min-width: 2.3rem; height: 2.1rem; text-align: center; border: 1px solid var(--page);
  print-color-adjust: exact; -webkit-print-color-adjust: exact; overflow-wrap: normal; }
.matrix tbody th { padding-right: .6rem; max-width: 13rem; min-width: 6rem; font-weight: 400;
  text-align: right; line-height: 1.2; }
.matrix thead th { vertical-align: bottom; font-weight: 400; }
.matrix thead th span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 9rem;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; margin: 0 auto; display: block; }
.heat { width: 100%; max-width: 40rem; aspect-ratio: 1; border: 1px solid var(--line);
  display: block; print-color-adjust: exact; -webkit-print-color-adjust: exact;
  background: var(--panel); }
.settings dt { color: var(--muted); font-size: .88rem; }
.settings dd { margin: 0 0 .5rem; }
@media (max-width: 36rem) {
  .neighbors { grid-template-columns: 1fr; }
  .neighbors > figure { max-width: 7.5rem; }
  .map svg text { font-size: 18px; }
  .list { font-size: .85rem; }
  .list th, .list td { padding-right: .3rem; }
  .list tbody th, .list td.name { min-width: 5rem; }
  .list .number { padding-left: .2rem; }
  .bar { width: 20%; min-width: 2.5rem; }
}
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  figure, tr, .tile, .neighbors { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .pointed { display: none; }
}
"""

# Shows the title of the point under the pointer, also on screens that are touched.
_SCRIPT = """
for (const figure of document.querySelectorAll("figure")) {
  const line = figure.querySelector(".pointed");
  if (line) figure.addEventListener("pointerover", event => {
    const title = event.target.querySelector("title");
    if (title && event.target.tagName != "svg") line.textContent = title.textContent;
  });
}
"""


def page(title: str, *content: Content) -> str:
    """Returns a web page in light or dark colors, as the reader prefers.

    Args:
        title: the title of the window and the main heading.
        *content: what follows the heading.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(_fill_colors(_STYLE))),
    )
    main = element("main", element("h1", title), *content)
    body = element("body", main, element("script", Markup(_SCRIPT)))
    return join(Markup("<!doctype html>\n"), element("html", head, body, lang="en"), "\n")


def section(heading: str, *content: Content) -> Markup:
    """Returns a section of a page."""
    return element("section", element("h2", heading), *content)


def note(*content: Content) -> Markup:
    """Returns a small paragraph."""
    return element("p", *content, class_="note")


def _fill_colors(style: str) -> str:
    for place, colors in (("LIGHT", _LIGHT), ("DARK", _DARK)):
        variables = (f"--class-{number}: {color};" for number, color in enumerate(colors))
        style = style.replace(place, " ".join(variables))
    return style
