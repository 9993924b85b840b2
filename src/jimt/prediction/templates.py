"""The templates of the page and of METHODS.md, compiled once."""

import functools

import jinja2


@functools.cache
def page_template() -> jinja2.Template:
    """Of ``index.html``; whatever is filled in is escaped."""
    return _templates(escapes=True).get_template("gallery.html")


@functools.cache
def methods_template() -> jinja2.Template:
    """Of METHODS.md; what comes from names is to go through ``plain``."""
    return _templates(escapes=False).get_template("methods.md.jinja")


def _templates(*, escapes: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("jimt.prediction", "."),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=escapes,
    )
