"""Settings of JavaScript and Python tools that are programs themselves."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "settings that run code"
GROUP = RUNS
DOC = "Settings of JavaScript and Python tools that are programs themselves."

TABLE = Table(
    names=frozenset({
        ".eslintrc.js", ".eslintrc.cjs", ".prettierrc.js", ".prettierrc.cjs", ".prettierrc.mjs",
        ".prettierrc.ts", ".babelrc", ".babelrc.js", ".babelrc.cjs", ".swcrc", ".stylelintrc.js",
        ".stylelintrc.cjs", ".markdownlint.cjs", ".markdownlint-cli2.cjs", ".postcssrc.js",
        "gulpfile.js", "gulpfile.ts", "gulpfile.mjs", "gulpfile.babel.js", "gruntfile.js",
        "gruntfile.coffee", "angular.json", "ember-cli-build.js", "vue.config.js", "conf.py",
        "mkdocs.yml", "mkdocs.yaml", "docusaurus.config.js", "gatsby-node.js", "gatsby-config.js",
        "manage.py", "wsgi.py", "asgi.py", "gunicorn.conf.py", "celeryconfig.py", "ansible.cfg",
        "alembic.ini", ".jupyter", "jupyter_config.py", "jupyter_notebook_config.py",
        ".watchmanconfig", ".watchmanrc", ".nodemonrc", "nodemon.json", ".terserrc", ".mocharc",
        ".npmignore",
    }),
    suffixes=(
        ".config.js", ".config.cjs", ".config.mjs", ".config.ts", ".config.cts", ".config.mts",
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "settings that a tool runs as a program")
