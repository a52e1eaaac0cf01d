"""Editors, pagers and what opens things: programs that a person uses, and that can start any other."""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import Table
from ringfence.shell.programs.draft import OPTION, Draft

_VIM = Table(
    {
        "": """g f v e E s d y R Z m M b l C N V-x D n r-x L A H F h help x noplugin not-a-term clean literal
        nofork version embed headless version O o p noplugin n""",
        "data=": "T t q display servername socketid windowid startuptime",
        "data?=": "V O-x",
        "script-file=": "S s-x u U i r w W",
        "code=": "c cmd remote-expr remote-send",
        "code": "remote remote-silent remote-wait remote-wait-silent remote-tab l-x",
    },
    risky=True,
)
_EMACS = Table(
    {
        "": """Q quick q no-init-file no-site-file no-site-lisp no-splash nw no-window-system batch
        version help
        D basic-display debug-init daemon fg-daemon bg-daemon n c t create-frame no-wait tty quiet
        suppress-output""",
        "data=": "t-x terminal d display T title name s-x socket-name f-x server-file a-x F",
        "code=": "eval execute f funcall L directory e x a alternate-editor",
        "script-file=": "l load script insert",
    },
    single=False,
    risky=True,
)
_NANO = Table({"": "", "data=": "T Q o r s Y f"}, risky=False)
_LESS = Table(
    {
        "": """a A B c C d e E f F g G i I J K L m M n N q Q r R s S u U v V w W X ~ ? help version
        quit-if-one-screen
        RAW-CONTROL-CHARS chop-long-lines ignore-case line-numbers no-init squeeze-blank-lines""",
        "data=": "b h j p P t T x y z #",
        "write=": "o O log-file LOG-FILE",
        "run=": "k lesskey-file lesskey-src lesskey-content",
        "data?=": "D",
    },
    risky=True,
)
_MAN = Table(
    {
        "": """C-x d debug D default k apropos f whatis l local-file w where path location W where-cat
        location-cat a all 7 ascii i ignore-case I match-case no-subpages u update K global-apropos c catman
        t troff Z ditroff no-justification no-hyphenation help usage version regex wildcard names-only""",
        "data=": "R recode L locale m systems S s sections e extension E encoding r prompt M-x",
        "folder=": "M manpath C config-file",
        "run=": "P pager",
        "risk:pager?=": "H html T troff-device X gxditview p preprocessor",
        "risk:pager": "g",
    },
    risky=True,
)


def _vim(draft: Draft) -> None:
    """Read `vim` and its kin: `-c`, `--cmd` and `+…` are commands, and `:!` is one of them."""
    words = []
    for word in draft.arguments:
        if word.text.startswith("+") and len(word.text) > 1 and not word.text[1:].isdigit():
            draft.finding("editor-command", "", word)
            if word.text.startswith("+!"):
                draft.scripts.append(type(word)(text=word.text[2:], certainty=word.certainty, span=word.span))
        elif word.text == "--cmd":
            draft.finding("editor-command", "", word)
        else:
            words.append(word)
    parsed = draft.apply(_VIM, words)
    for one in parsed.given:
        if one.role == "code":
            draft.finding("editor-command", "", one.value or one.word)
            if one.value is not None and one.value.text.lstrip(": ").startswith("!"):
                text = one.value.text.lstrip(": ")[1:]
                draft.scripts.append(type(one.value)(text=text, span=one.value.span))
        elif one.role == "script-file" and one.value is not None:
            if one.value.text in {"NONE", "NORC", "DEFAULTS"}:
                continue
            draft.read(one.value, OPTION)
            draft.finding("editor-command", "runs the commands of a file", one.value)
    _edits(draft, parsed.operands)
    if parsed.has("version", "help", "h"):
        return
    draft.finding("editor-command", "can start any program, as its input tells it", draft.invocation.input)


def _edits(draft: Draft, operands: "list[Value]") -> None:
    for value in operands:
        draft.read(value)
        draft.write(value)


def _ed(draft: Draft) -> None:
    """Read `ed`: its input is a script, in which `!` starts programs and `w` writes files."""
    parsed = draft.apply(
        Table({"": "E G l r s v h V silent quiet verbose restricted", "data=": "p prompt"}, risky=True)
    )
    _edits(draft, list(parsed.operands))
    draft.finding("editor-command", "runs commands that it reads from its input", draft.invocation.input)
    text = draft.invocation.input
    if text is not None and text.certainty == KNOWN:
        for line in text.text.split("\n"):
            if line.startswith("!"):
                draft.scripts.append(type(text)(text=line[1:], span=text.span))


def _emacs(draft: Draft) -> None:
    parsed = draft.apply(_EMACS, [word for word in draft.arguments if word.text != "-nw"])
    for one in parsed.given:
        if one.role == "code":
            draft.finding("editor-command", "", one.value or one.word)
        elif one.role == "script-file" and one.value is not None:
            draft.read(one.value, OPTION)
            draft.finding("editor-command", "runs the code of a file", one.value)
    for word in parsed.strange:
        draft.finding("editor-command", "is given an option that may be code", word)
    _edits(draft, list(parsed.operands))


def _editor(draft: Draft) -> None:
    """Read an editor that runs nothing by its arguments."""
    parsed = draft.apply(_NANO)
    draft.complete = False
    _edits(draft, list(parsed.operands))
    for word in parsed.strange:
        if word.text.startswith(
            ("--install-ext", "--exec", "--command", "-e", "--wait-cmd", "--user-data", "--extensions")
        ):
            draft.finding("editor-command", "is given an option that may run something", word)


def _less(draft: Draft) -> None:
    """Read pagers: `+…` is a command of theirs, and `!` or `v` starts programs at a terminal."""
    words = []
    for word in draft.arguments:
        if word.text.startswith("+") and len(word.text) > 1 and not word.text.lstrip("+").isdigit():
            draft.finding("pager", "is given a command to run", word)
        else:
            words.append(word)
    parsed = draft.apply(_LESS, words)
    draft.each(parsed.operands, "read")


def _man(draft: Draft) -> None:
    """Read `man`, `info` and their kin."""
    parsed = draft.apply(_MAN)
    draft.complete = draft.complete and not parsed.strange
    for value in parsed.values("folder"):
        draft.read(value, OPTION)
        draft.finding("pager", "takes pages or settings from another folder", value)
    for value in parsed.operands:
        if "/" in value.text or parsed.has("l", "local-file"):
            draft.read(value)
    quiet = {"k", "apropos", "f", "whatis", "w", "where", "path", "location", "help", "version"}
    if not any(one.name in quiet for one in parsed.given):
        draft.finding("pager", "shows a page with the pager of the environment")


def _open(draft: Draft) -> None:
    draft.finding("opener")
    draft.runner = True
    for value in draft.arguments:
        if value.certainty != KNOWN:
            draft.uncertain(value)
        elif "://" in value.text:
            draft.endpoint(value)
        elif not value.text.startswith("-"):
            draft.read(value)


PROGRAMS = {
    **dict.fromkeys(
        "vim vi nvim ex view gvim rvim rview vimdiff vimtutor evim eview nvi elvis vis".split(), _vim
    ),
    **dict.fromkeys(("ed", "red"), _ed),
    **dict.fromkeys(("emacs", "emacsclient", "mg", "jmacs"), _emacs),
    **dict.fromkeys(
        """nano pico micro joe kak helix hx ne gedit kate code codium cursor windsurf subl zed atom idea
        pycharm""".split(),
        _editor,
    ),
    **dict.fromkeys(("less", "more", "most", "pg", "zless", "zmore"), _less),
    **dict.fromkeys(("man", "info", "pinfo", "apropos-x", "tldr-x", "help-x"), _man),
    **dict.fromkeys(
        """xdg-open open start gio-open gnome-open kde-open exo-open wslview explorer cygstart see
        run-mailcap mimeopen sensible-browser x-www-browser www-browser firefox chromium google-chrome
        chrome safari gtk-launch dex xdg-email""".split(),
        _open,
    ),
}
