"""The options of git's commands. Any long one may be abbreviated as long as it stays unambiguous."""

from ringfence.shell.options import Table

_DIFF = {
    "": """p u patch s no-patch raw patch-with-raw indent-heuristic no-indent-heuristic minimal patience
    histogram compact-summary numstat shortstat summary patch-with-stat z name-only name-status
    color-words no-color no-renames rename-empty no-rename-empty check full-index binary
    find-copies-harder D irreversible-delete pickaxe-all pickaxe-regex R a text ignore-cr-at-eol
    ignore-space-at-eol b ignore-space-change w ignore-all-space ignore-blank-lines W function-context
    exit-code quiet no-ext-diff no-textconv no-prefix default-prefix ita-invisible-in-index
    ita-visible-in-index c cc combined-all-paths t no-relative staged cached merge-base no-index 0 1 2 3
    base ours
    theirs expand-tabs no-expand-tabs help pretty-none m dd remerge-diff no-diff-merges ignore-matching-none
    no-color-moved skip-to-none""",
    "data=": """U unified inter-hunk-context G S diff-filter anchored diff-algorithm ws-error-highlight
    src-prefix dst-prefix line-prefix l find-object I ignore-matching-lines word-diff-regex
    output-indicator-new output-indicator-old output-indicator-context rotate-to skip-to max-depth""",
    "data?=": """stat dirstat dirstat-by-file cumulative X submodule color color-moved color-moved-ws
    word-diff
    B break-rewrites M find-renames C find-copies relative abbrev ignore-submodules diff-merges""",
    "read=": "O",
    "write=": "output",
    "risk:git-runs": "ext-diff textconv",
}

_REVISIONS = {
    "": """all branches-none first-parent merges no-merges oneline graph reverse follow full-history
    simplify-merges simplify-by-decoration sparse dense topo-order date-order author-date-order g
    walk-reflogs left-right cherry-mark cherry-pick cherry left-only right-only boundary no-walk
    do-walk i regexp-ignore-case E extended-regexp F fixed-strings P perl-regexp basic-regexp
    invert-grep all-match abbrev-commit no-abbrev-commit parents children show-signature relative-date
    show-linear-break not stdin full-diff source use-mailmap mailmap no-use-mailmap no-mailmap log-size
    no-notes show-pulls ancestry-path count bisect bisect-vars objects unpacked header timestamp
    show-notes-by-default remove-empty no-decorate clear-decorations reflog single-worktree in-commit-order
    quiet alternate-refs exclude-first-parent-only no-show-signature no-graph no-commit-id always root
    ignore-missing objects-edge disk-usage use-bitmap-index no-object-names""",
    "data=": """n max-count skip since after until before author committer grep grep-reflog min-parents
    max-parents date L exclude glob-none since-as-filter max-age min-age default encoding
    decorate-refs decorate-refs-exclude exclude-hidden filter missing""",
    "data?=": """branches tags remotes glob pretty format decorate notes show-notes standard-notes
    no-walk-order no-filter""",
}


def _joined(*tables: dict[str, str], **more: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for table in (*tables, more):
        for role, words in table.items():
            joined[role] = f"{joined.get(role, '')} {words}"
    return joined


DIFF = Table(_DIFF, numbers=True, risky=True)
LOG = Table(_joined(_REVISIONS, _DIFF), numbers=True, risky=True)
FORMAT_PATCH = Table(
    _joined(
        _REVISIONS,
        _DIFF,
        {
            "": """N no-numbered k keep-subject s signoff stdout cover-letter no-thread no-attach no-signature
            numbered-files zero-commit progress ignore-if-in-upstream always no-cover-letter q no-to no-cc
            no-base no-add-header no-binary n numbered rfc-none""",
            "data=": """start-number subject-prefix v reroll-count suffix to cc in-reply-to add-header
            signature cover-from-description description-file creation-factor filename-max-length""",
            "data?=": """thread attach inline from rfc base interdiff range-diff force-in-body-from
            encode-email-headers progress-x""",
            "read=": "signature-file",
            "write=": "o output-directory",
        },
    ),
    numbers=True,
    risky=True,
)
SHORTLOG = Table(
    _joined(_REVISIONS, {"": "s summary n numbered e email c", "data=": "group", "data?=": "w"}),
    numbers=True,
    risky=False,
)
BLAME = Table(
    _joined(
        {
            "": """b root show-stats progress no-progress show-number n show-name f show-email e p porcelain
            line-porcelain incremental c t l s w color-lines color-by-age minimal score-debug first-parent""",
            "data=": "L S ignore-rev date",
            "data?=": "M C abbrev",
            "read=": "contents ignore-revs-file",
            "risk:git-runs": "textconv-x",
        }
    ),
    numbers=True,
    risky=False,
)
GREP = Table(
    {
        "": """cached untracked no-index no-exclude-standard exclude-standard recurse-submodules v
        invert-match i ignore-case w word-regexp a text I r recursive no-recursive E extended-regexp G
        basic-regexp F fixed-strings P perl-regexp n line-number column h H full-name l files-with-matches
        name-only files-without-match L z null o only-matching c count break heading p show-function W
        function-context and or not all-match q quiet no-textconv no-color help""",
        "data=": "m max-count max-depth C context B before-context A after-context threads parent-basename",
        "data?=": "color",
        "pattern=": "e",
        "patterns=": "f",
        "risk:git-runs?=": "O open-files-in-pager",
        "risk:git-runs": "textconv ext-grep",
    },
    numbers=True,
    risky=True,
)
STATUS = Table(
    {
        "": """s short b branch show-stash long v verbose z no-ahead-behind ahead-behind no-renames renames
        no-column""",
        "data?=": "porcelain u untracked-files ignore-submodules ignored column find-renames M",
    },
    risky=False,
)
# Commands of which no option is a risk; their operands are names of commits, branches or files.
MILD = Table({}, risky=False)
ADD = Table(
    {
        "": """n dry-run v verbose i interactive p patch e edit f force u update N intent-to-add refresh
        ignore-errors ignore-missing no-ignore-removal ignore-removal A all no-all sparse renormalize
        pathspec-file-nul""",
        "data=": "chmod",
        "read=": "pathspec-from-file",
    },
    risky=False,
)
COMMIT = Table(
    {
        "": """q quiet v verbose reset-author s signoff no-signoff e edit no-edit status no-status a all i
        include p patch interactive o only n no-verify verify dry-run short branch ahead-behind porcelain long
        z null amend no-post-rewrite allow-empty allow-empty-message no-gpg-sign pathspec-file-nul
        no-verbose""",
        "data=": "author date m message c reedit-message C reuse-message fixup squash trailer cleanup",
        "data?=": "u untracked-files S gpg-sign",
        "read=": "F file t template pathspec-from-file",
    },
    risky=False,
)
FETCH = Table(
    {
        "": """v verbose q quiet all a append atomic f force m multiple t tags n no-tags prune p prune-tags P
        dry-run porcelain write-fetch-head no-write-fetch-head k keep u update-head-ok progress no-progress
        unshallow update-shallow refetch 4 ipv4 6 ipv6 negotiate-only show-forced-updates
        no-show-forced-updates auto-maintenance auto-gc no-auto-gc no-auto-maintenance
        write-commit-graph no-write-commit-graph stdin set-upstream prefetch
        no-rebase no-ff ff ff-only commit no-commit squash no-squash edit no-edit e verify no-verify
        stat no-stat summary autostash no-autostash allow-unrelated-histories signoff no-signoff
        verify-signatures no-verify-signatures cleanup-none no-log no-recurse-submodules no-all
        no-gpg-sign""",
        "data=": """depth deepen shallow-since shallow-exclude j jobs refmap o server-option
        negotiation-tip filter s strategy X strategy-option cleanup submodule-prefix""",
        "data?=": "recurse-submodules r rebase log S gpg-sign bundle-uri recurse-submodules-default",
        "risk:git-runs=": "upload-pack",
    },
    risky=True,
)
PUSH = Table(
    {
        "": """v verbose q quiet all branches mirror d delete tags follow-tags no-follow-tags n dry-run
        porcelain f force no-force-with-lease force-if-includes no-force-if-includes thin no-thin u
        set-upstream progress no-progress prune no-verify verify atomic no-atomic 4 ipv4 6 ipv6
        no-recurse-submodules no-signed""",
        "data=": "o push-option recurse-submodules",
        "data?=": "force-with-lease signed",
        "remote=": "repo",
        "risk:git-runs=": "receive-pack exec",
    },
    risky=True,
)
CLONE = Table(
    {
        "": """v verbose q quiet progress reject-shallow no-reject-shallow n no-checkout bare mirror l local
        no-local no-hardlinks s shared dissociate single-branch no-single-branch no-tags tags
        shallow-submodules no-shallow-submodules remote-submodules no-remote-submodules sparse 4 ipv4 6
        ipv6 also-filter-submodules""",
        "data=": """j jobs o origin b branch depth shallow-since shallow-exclude server-option filter
        ref-format revision""",
        "data?=": "recurse-submodules recursive",
        "read=": "reference reference-if-able",
        "url=": "bundle-uri",
        "out=": "separate-git-dir",
        "risk:git-runs=": "u upload-pack template",
        "setting=": "c config",
    },
    risky=True,
)
LS_REMOTE = Table(
    {
        "": "q quiet t tags b branches refs get-url exit-code symref h heads",
        "data=": "sort o server-option",
        "risk:git-runs=": "upload-pack exec",
    },
    risky=True,
)
ARCHIVE = Table(
    {
        "": "v verbose l list 0 1 2 3 4 5 6 7 8 9 worktree-attributes",
        "data=": "format prefix mtime",
        "read=": "add-file add-virtual-file",
        "write=": "o output",
        "remote=": "remote",
        "risk:git-runs=": "exec",
    },
    risky=True,
)
REBASE = Table(
    {
        "": """no-verify verify no-ff f force-rebase keep-base q quiet v verbose n no-stat stat signoff
        committer-date-is-author-date reset-author-date ignore-date C-x ignore-whitespace continue skip abort
        quit edit-todo show-current-patch apply m merge autosquash no-autosquash autostash no-autostash
        keep-empty no-keep-empty fork-point no-fork-point root reschedule-failed-exec
        no-reschedule-failed-exec reapply-cherry-picks no-reapply-cherry-picks update-refs no-update-refs
        no-rebase-merges no-gpg-sign""",
        "data=": "onto whitespace s strategy X strategy-option empty C",
        "data?=": "r rebase-merges S gpg-sign",
        "risk:git-runs": "i interactive",
        "script=": "x exec",
    },
    risky=True,
)
CONFIG = Table(
    {
        "": """global system local worktree bool int bool-or-int bool-or-str path expiry-date no-type z null
        name-only show-names no-show-names includes no-includes show-origin show-scope fixed-value all""",
        "data=": "type t default value comment",
        "data?=": "",
        "read=": "f file blob",
        "get": "get get-all get-regexp get-urlmatch get-color get-colorbool l list",
        "set": """add replace-all unset unset-all rename-section remove-section e edit append""",
        "get=": "regexp url",
    },
    risky=True,
)
TOOL = Table(
    {
        "": """g gui d dir-diff y no-prompt prompt symlinks no-symlinks no-index tool-help trust-exit-code
        cached staged""",
        "data=": "O",
        "risk:git-runs=": "t tool x extcmd",
    },
    risky=True,
)
APPLY = Table(
    {
        "": """no-add stat numstat summary check index intent-to-add N cached unsafe-paths apply 3way ours
        theirs union z R reverse unidiff-zero reject allow-overlap v verbose q quiet inaccurate-eof recount
        allow-binary-replacement binary allow-empty i interactive m message-id k keep
        keep-non-patch b u utf8 no-utf8 scissors no-scissors c no-verify n s signoff continue r resolved skip
        abort quit committer-date-is-author-date ignore-date keep-cr no-keep-cr no-message-id 3
        ignore-space-change ignore-whitespace rerere-autoupdate no-rerere-autoupdate allow-x retry""",
        "data=": "exclude include p C whitespace patch-format quoted-cr empty",
        "data?=": "show-current-patch S gpg-sign",
        "folder=": "directory",
        "write=": "build-fake-ancestor",
    },
    risky=True,
)
INIT = Table(
    {
        "": "q quiet bare",
        "data=": "object-format ref-format b initial-branch",
        "data?=": "shared",
        "out=": "separate-git-dir",
        "risk:git-runs=": "template",
    },
    operands="out",
    risky=True,
)
