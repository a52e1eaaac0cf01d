"""Which commands git has beside those with tables of their own, and what is to be said of them."""

# Commands without a table that change nothing but their own standard output
READS_ONLY = frozenset(
    """cat-file check-attr check-ignore check-mailmap check-ref-format cherry count-objects column describe
    for-each-ref fsck ls-files ls-tree merge-base merge-tree name-rev patch-id range-diff rev-parse
    show-branch
    show-ref verify-commit verify-pack verify-tag version stripspace mailinfo fmt-merge-msg var
    get-tar-commit-id show-index hash-object diff-pairs last-modified""".split()
)
# Commands that run something of their own accord, and why each is a risk
WRITES = {
    "filter-branch": "runs shell code for every commit",
    "filter-repo": "runs code for every commit",
    "daemon": "serves repositories to the network",
    "instaweb": "starts a web server",
    "web--browse": "opens a browser",
    "gui": "opens a window with tools of the configuration",
    "citool": "opens a window with tools of the configuration",
    "gitk": "opens a window",
    "hook": "runs a hook",
    "credential": "gives out credentials",
    "credential-store": "gives out credentials",
    "credential-cache": "gives out credentials",
    "credential-cache--daemon": "gives out credentials",
    "credential-manager": "gives out credentials",
    "maintenance": "may schedule commands for later",
    "for-each-repo": "runs commands in other repositories",
    "send-email": "sends mail with programs of the configuration",
    "imap-send": "sends mail",
    "svn": "runs another program",
    "p4": "runs another program",
    "cvsimport": "runs another program",
    "cvsserver": "runs another program",
    "quiltimport": "runs another program",
    "fast-import": "writes history from its input",
    "fsmonitor--daemon": "starts a daemon",
    "upload-pack": "serves a repository",
    "receive-pack": "takes changes into a repository",
    "upload-archive": "serves a repository",
    "http-backend": "serves repositories",
    "http-push": "sends to another machine",
    "shell": "runs commands of its input",
    "remote-ext": "runs a command",
    "remote-fd": "uses descriptors",
    "merge-index": "runs a program for every file",
    "mergetool--lib": "runs a tool",
    "difftool--helper": "runs a tool",
    "bugreport": "writes a report about this machine",
    "diagnose": "writes a report about this machine",
    "sh-i18n--envsubst": "is internal",
    "submodule--helper": "is internal",
    "checkout--worker": "is internal",
    "env--helper": "is internal",
    "lfs": "runs another program",
    "request-pull": "asks another repository",
    "annex": "runs another program",
}
PLUMBING = READS_ONLY | frozenset(
    """commit-graph commit-tree fast-export fetch-pack fsck-objects gc http-fetch index-pack
    interpret-trailers mailsplit merge-file merge-octopus merge-one-file merge-ours merge-recursive
    merge-resolve merge-subtree mktag mktree multi-pack-index pack-objects pack-redundant pack-refs prune
    prune-packed read-tree remote-http remote-https repack replace request-pull rerere send-pack
    sparse-checkout subtree unpack-file unpack-objects update-index update-server-info write-tree
    symbolic-ref update-ref notes bisect--helper backfill replay refs repo pickaxe add--interactive
    cherry-pick-x checkout-index init-db-x rev-list-x""".split()
).union(WRITES)
