"""The page's words and its style sheet."""

from .canvas import DRAWN_COLOUR, IMAGINED_COLOUR, KNOWN_COLOUR, hex_colour

HEADING = """# EdgeConnect
Remove things from a photo. Paint over them, correct the lines that EdgeConnect draws in the hole, and let it paint the
rest.
"""

PHOTO_PLACEHOLDER = "# Drop a photo here\nor click to choose one, or paste it"

MASK_HELP = """
<b>Erase object</b> fills the hole at once. <b>Find lines</b> first shows you the lines it will follow, so that you can
correct them; <b>Sketch</b> lets you draw them yourself.
"""

LINES_HINT = """
<div>Paint over something in the photo, then choose <b>Find lines</b> or <b>Sketch</b>. The lines will appear here for
you to edit.</div>
"""

_LEGEND = " ".join(
    f'<span class="legend"><span class="swatch" style="background:{hex_colour(colour)}"></span>{origin}</span>'
    for colour, origin in (
        (KNOWN_COLOUR, "found in the photo"),
        (IMAGINED_COLOUR, "imagined in the hole"),
        (DRAWN_COLOUR, "drawn by you"),
    )
)
LINES_HELP = f"""{_LEGEND}<br>
<b>Complete</b> fills the hole, following these lines. <b>Continue lines</b> extends the lines you drew.
"""

STRATEGY_HELP = (
    "auto: windows around the holes, scaled down for large holes. crop: windows, never scaled down. resize: windows "
    "scaled down to the size of the training pictures. original: the whole photo."
)

ABOUT = """
**How it works.** Canny's edge detector finds the lines in the known part of the photo. One network draws the missing
lines in the hole; another paints the hole from the lines and the surrounding colours
([EdgeConnect, Nazeri et al., 2019](https://arxiv.org/abs/1901.00212)). Pixels outside the hole are returned exactly as
they were, at the photo's full size; the editors show a smaller copy.

**Limits.** Small holes work best. Do not expect good results on text, faces or people, or on photos unlike those the
model was trained on. Photos may have up to {max_megabytes:g} MB and {max_megapixels:g} megapixels, and a step may take
about {max_job_seconds:g} seconds. Your files are deleted after you close the page.
"""

CSS = """
.gradio-container {width: 100% !important; max-width: 1280px !important; margin: 0 auto !important}
.swatch {display: inline-block; width: 1.4em; height: .4em; margin-right: .4em; vertical-align: middle;
  outline: 1px solid #8888}
.legend {white-space: nowrap; margin-right: 1.2em}
.block.status {min-height: 64px !important}
.status .html-container {padding: 0 !important}
.status .html-container.pending, .status .wrap:has(.error) {visibility: hidden}
#lines-hint {height: 420px; display: flex; align-items: center; justify-content: center; text-align: center;
  border: 1px dashed var(--border-color-primary); border-radius: var(--block-radius); padding: 0 12%}
#workspace .column:has(#lines) #lines-hint {display: none}
#examples .container {width: 160px; height: 96px}
#examples img {width: 100%; height: 100%; object-fit: cover}
@media (max-width: 700px) {
  .gradio-container main {padding: 12px !important}
  #mask, #lines {height: 300px !important}
  #lines-hint {height: auto; padding: 24px}
}
"""
