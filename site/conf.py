"""Settings of the course's site; `make site` stages the pages and builds them, see tools/site.py."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tools import live  # noqa: E402
from tools.notebooks import files  # noqa: E402
from tools.site import add_mathml, finding, lesson_cards  # noqa: E402

project = "Transfer Learning in NLP"
author = "The course's authors"
html_title = project
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["build"]
nb_execution_mode = "off"  # the committed outputs are shown, which `make test` compares
nb_render_markdown_format = "myst"  # so that links in outputs lead to pages
nb_ipywidgets_js = {}  # widgets need a kernel; their text stands in for them
myst_enable_extensions = ["dollarmath", "colon_fence", "substitution"]
myst_substitutions = live.facts() | {"finding": finding(), "lessons": lesson_cards()}
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
nitpicky = False
suppress_warnings = ["misc.highlighting_failure"]  # the ten lines of lesson 02 leave one out as …

html_theme = "sphinx_book_theme"
html_static_path = ["static"]
html_css_files = ["course.css"]
html_show_sphinx = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses where there is no server
html_copy_source = True
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "use_download_button": True,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search stands at the left
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
if files.state():
    html_theme_options["extra_footer"] = f"<p>State of the course: {files.state()}</p>"
if files.repository():
    html_theme_options |= {
        "repository_url": files.repository(),
        "repository_branch": files.release(),
        "use_repository_button": True,
        "launch_buttons": {"colab_url": "https://colab.research.google.com", "notebook_interface": "jupyterlab"},
    }


def setup(app) -> None:
    """Formulas become MathML when the site is built: no script, no request."""
    add_mathml(app)
