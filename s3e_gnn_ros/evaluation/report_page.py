"""The frame of report.html: its style, and small pieces of HTML with everything escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from string import Template

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: #24292f;
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 4px 0 10px; }
.lead { color: #57606a; margin-bottom: 18px; }
section { background: #fff; border: 1px solid #e1e4e8; border-radius: 10px; padding: 18px 20px;
  margin-top: 18px; }
.hint { color: #57606a; font-size: 13.5px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; }
.tile { flex: 1 1 140px; background: #fff; border: 1px solid #e1e4e8; border-radius: 10px;
  padding: 12px 14px; }
.tile b { display: block; font-size: 24px; line-height: 1.25; font-weight: 650; }
.tile span { color: #57606a; font-size: 13px; }
.good b { color: #00775a; }
.bad b { color: #b02a83; }
img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
.pairs { display: flex; flex-wrap: wrap; gap: 14px; }
figure { flex: 1 1 330px; max-width: 530px; margin: 0; border: 1px solid #e1e4e8;
  border-radius: 8px; overflow: hidden; }
figure img { width: 100%; }
figure.wrong { border: 2px solid #cc3f9a; }
figcaption { padding: 6px 10px; font-size: 13px; color: #57606a; }
figcaption b { color: #24292f; }
figure.wrong figcaption b { color: #b02a83; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 14px 4px 0; text-align: left; border-bottom: 1px solid #eceff2;
  vertical-align: top; }
th { color: #57606a; font-weight: 600; }
td.n, th.n { text-align: right; }
tr.wrong td { color: #b02a83; font-weight: 600; }
details { margin-top: 10px; }
summary { cursor: pointer; color: #0a58a6; }
pre { background: #f5f6f8; padding: 12px; border-radius: 8px; overflow-x: auto;
  font-size: 12.5px; }
code { background: #f0f2f4; border-radius: 4px; padding: 1px 4px; font-size: 13px; }
.scroll { overflow-x: auto; }
"""


def page(title: str, sections: Iterable[str]) -> str:
    """Assemble the whole file."""
    body = '\n'.join(part for part in sections if part)
    return PAGE.substitute(title=escape(title), style=STYLE, body=body)


def section(title: str, hint: str, *content: str) -> str:
    """Return a card; nothing when there is no content. ``content`` is HTML, the rest is text."""
    if not any(content):
        return ''
    note = f'<p class="hint">{escape(hint)}</p>' if hint else ''
    return f'<section>\n<h2>{escape(title)}</h2>{note}\n{"".join(content)}\n</section>'


def tile(value: str, label: str, mood: str = '') -> str:
    """Return one big number with its name; ``mood`` is '', 'good' or 'bad'."""
    return f'<div class="tile {mood}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def picture(data: bytes | None, mime: str, description: str) -> str:
    """Return an image held in the page itself; nothing without data."""
    if data is None:
        return ''
    text = base64.b64encode(data).decode('ascii')
    return f'<img src="data:{mime};base64,{text}" alt="{escape(description)}">'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    num_text_columns: int = 1,
    row_classes: Sequence[str] = (),
) -> str:
    """Return a table; the columns after the first ``num_text_columns`` are right-aligned."""

    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = ('' if i < num_text_columns else ' class="n"' for i in range(len(values)))
        return ''.join(
            f'<{tag}{kind}>{escape(value)}</{tag}>'
            for kind, value in zip(kinds, values, strict=True)
        )

    body = ''.join(
        f'<tr class="{row_classes[i] if row_classes else ""}">{cells("td", row)}</tr>\n'
        for i, row in enumerate(rows)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{cells("th", head)}</tr></thead>\n'
        f'<tbody>{body}</tbody></table></div>'
    )


def folded(title: str, content: str) -> str:
    """Return HTML content that opens on a click."""
    return f'<details><summary>{escape(title)}</summary>{content}</details>'
