"""Makes .dvc/plots/page.html: the frame of the page of `dvc plots show`, whole without a network.

    pip install vl-convert-python==1.9.0.post1
    python .dvc/plots/page.py

DVC's own frame loads Vega from the network; its place there is a tag `scripts`, which this frame
leaves out. vl-convert carries Vega, Vega-Lite and Vega-Embed (all BSD-3-Clause) in one file.
"""

from pathlib import Path

PAGE = """<!DOCTYPE html>
<html lang="en">
<!-- Made by .dvc/plots/page.py: do not edit. The script is Vega, Vega-Lite and Vega-Embed, of
vega.github.io, under the BSD-3-Clause license. -->
<head>
<meta charset="utf-8">
{refresh_tag}
<title>dataselect: plots</title>
<style>
body { font-family: sans-serif; margin: 24px; }
body > div { margin-bottom: 32px; }
</style>
<script>(() => {BUNDLE})();</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def main() -> None:
    """Writes the file beside this one."""
    import vl_convert

    bundle = vl_convert.javascript_bundle().replace("</script", "<\\/script")
    page = PAGE.replace("BUNDLE", bundle)
    Path(__file__).with_suffix(".html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
