"""git: what it starts and changes beside what its name says, and ordinary use of it."""

import pytest
from looking import files, hosts, look_at, reads, risks, runs, writes

CLEAN = [
    "git", "git status", "git status -sb", "git status --porcelain=v1 -uall", "git log", "git log --oneline -5", "git log -p -2 -- src",
    "git log --format='%h %s'", "git log --pretty=format:%h --since=yesterday --author=x", "git log --graph --all --decorate",
    "git diff", "git diff HEAD~1", "git diff --stat main...HEAD", "git diff --cached -- src/a", "git diff -U3 -M90% --name-only",
    "git diff --no-ext-diff", "git show HEAD", "git show HEAD:src/a", "git show --stat HEAD", "git blame -L 1,10 src/a", "git branch",
    "git branch -a", "git branch -D x", "git checkout main", "git checkout -b x", "git checkout -- a", "git switch -c x", "git restore a",
    "git add .", "git add -A", "git add ⟪*.py⟫", "git commit -m msg", "git commit -am 'a; b'", "git commit --amend --no-edit",
    "git commit -m «x»", "git commit --message=«x»", "git log --author=«x»", "git log --grep «x»", "git push", "git push origin main",
    "git push -u origin HEAD", "git push --force-with-lease", "git pull", "git pull --rebase origin main", "git fetch --all --prune",
    "git clone https://github.com/a/b", "git clone --depth 1 git@github.com:a/b.git", "git merge main", "git merge --no-ff x",
    "git rebase main", "git rebase --continue", "git cherry-pick abc", "git revert HEAD", "git reset --hard HEAD~1", "git stash",
    "git stash push -m wip", "git stash pop", "git tag v1", "git remote -v", "git remote add origin https://github.com/a/b",
    "git config user.name", "git config --get remote.origin.url", "git config --list", "git config -l", "git config get user.name",
    "git rev-parse HEAD", "git rev-parse --show-toplevel", "git describe --tags", "git ls-files", "git ls-files ⟪*.py⟫",
    "git grep -n TODO", "git grep -e «x»", "git worktree list", "git worktree add ../x -b y", "git --no-pager log", "git --version",
    "git -c color.ui=never status", "git -c core.pager=cat log", "git -C . status", "git rm a", "git mv a b", "git clean -n",
    "git init", "git ls-remote origin", "git shortlog -sn", "git reflog", "git cat-file -p HEAD", "git for-each-ref", "git merge-base a b",
    "git bisect start", "git bisect good", "git submodule status", "git archive HEAD", "git rebase --onto a b c", "git help -a",
    "git --no-optional-locks status", "git -P diff",
]  # fmt: skip
RISKY = [
    ("git -c alias.x='!touch y' x", "git-option"), ("git -c diff.external='touch y' diff", "git-option"), ("git -c core.fsmonitor=./x status", "git-option"),
    ("git -c core.pager=./x log", "git-option"), ("git -c protocol.ext.allow=always fetch", "git-option"), ("git -c include.path=x status", "git-option"),
    ("git --config-env=core.pager=X log", "git-option"), ("git --config-env core.pager=X log", "git-option"), ("git --exec-path=/x status", "git-option"),
    ("git -p log", "git-option"), ("git --paginate log", "git-option"), ("git --frob log", "git-option"), ("git -c «x» log", "git-option"),
    ("git -C evil status", "git-other-repository"), ("git -C .. status", "git-other-repository"), ("git -C / status", "git-other-repository"),
    ("git --git-dir=evil/.git status", "git-other-repository"), ("git --git-dir evil/.git status", "git-other-repository"),
    ("git --work-tree=/ status", "git-other-repository"), ("git --bare status", "git-other-repository"), ("git clone ../x", "git-other-repository"),
    ("git fetch /tmp/x", "git-other-repository"), ("git ls-remote --upload-pack=x .", "git-runs"), ("git ls-remote --upload-pa=x .", "git-runs"),
    ("git ls-remote --upload=x .", "git-runs"), ("git ls-remote --up x .", "git-runs"), ("git ls-remote --exec=x .", "git-runs"),
    ("git fetch --upload-pack x origin", "git-runs"), ("git pull --upload-p=x", "git-runs"), ("git push --receive-pack=x", "git-runs"),
    ("git push --exec=x", "git-runs"), ("git push --rec=x", "git-runs"), ("git clone -u x y", "git-runs"), ("git clone --template=x y", "git-runs"),
    ("git clone --te x y", "git-runs"), ("git clone -c core.sshCommand=x y", "git-option"), ("git clone --config x=y z", "git-option"),
    ("git ls-remote 'ext::touch x'", "git-runs"), ("git clone ext::x", "git-runs"), ("git fetch fd::3", "git-runs"), ("git remote add x ext::y", "git-runs"),
    ("git submodule add ext::x y", "git-runs"), ("git push foo::bar main", "git-runs"), ("git grep -Ox a", "git-runs"), ("git grep -O a", "git-runs"),
    ("git grep --open-files-in-pager=x a", "git-runs"), ("git grep --open=x a", "git-runs"), ("git grep --op a", "git-runs"), ("git grep -nOx a", "git-runs"),
    ("git diff --ext-diff", "git-runs"), ("git diff --ext", "git-runs"), ("git log -p --ext-diff", "git-runs"), ("git show --textconv", "git-runs"),
    ("git log --textc -p", "git-runs"), ("git cat-file --textconv HEAD:a", "git-runs"), ("git difftool -x x", "git-runs"), ("git difftool", "git-runs"),
    ("git difftool --extcmd=x", "git-runs"), ("git mergetool -t x", "git-runs"), ("git bisect run make", "git-runs"), ("git rebase -x make main", "git-runs"),
    ("git rebase --exec=make main", "git-runs"), ("git rebase --ex make main", "git-runs"), ("git rebase -i main", "git-runs"),
    ("git submodule foreach 'touch x'", "git-runs"), ("git submodule --quiet foreach x", "git-runs"), ("git filter-branch --tree-filter x", "git-runs"),
    ("git hook run x", "git-runs"), ("git daemon", "git-runs"), ("git credential fill", "git-runs"), ("git send-email x", "git-runs"),
    ("git instaweb", "git-runs"), ("git maintenance start", "git-runs"), ("git statusx", "git-runs"), ("git st", "git-runs"), ("git evil", "git-runs"),
    ("git for-each-repo --config=x status", "git-runs"), ("git remote-ext x y", "git-runs"), ("git merge-index x -a", "git-runs"), ("git lfs pull", "git-runs"),
    ("git diff --output=x", "option-writes"), ("git diff HEAD --output x", "option-writes"), ("git diff --outp=x", "option-writes"),
    ("git log -p --output=x", "option-writes"), ("git show --out=x", "option-writes"), ("git format-patch -o x HEAD~1", "option-writes"),
    ("git format-patch HEAD~1", "option-writes"), ("git format-patch --output-dir=x HEAD~1", "option-writes"), ("git archive -o x HEAD", "option-writes"),
    ("git archive --output=x HEAD", "option-writes"), ("git archive --exec=x --remote=y HEAD", "git-runs"), ("git bundle create x HEAD", "option-writes"),
    ("git config core.pager x", "git-option"), ("git config --global alias.x '!y'", "git-option"), ("git config set core.pager x", "git-option"),
    ("git config --add x.y z", "git-option"), ("git config --unset x.y", "git-option"), ("git config -e", "git-option"), ("git config edit", "git-option"),
    ("git config --unse x.y", "git-option"), ("git config --file x core.pager y", "git-option"), ("git log --help", "pager"), ("git help log", "pager"),
    ("git --help log", "pager"), ("git apply x", "unseen-instructions"), ("git am x", "unseen-instructions"), ("git init --template=x", "git-runs"),
    ("git «x»", "uncertain-argument"), ("git log «x»", "uncertain-argument"), ("git log --format=«x*»", "uncertain-argument"), ("git commit -m «x*»", "uncertain-argument"),
    ("git diff -- «x»", "uncertain-argument"), ("git diff ⟪*⟫", "glob-option"), ("git push «x»", "uncertain-argument"),
]  # fmt: skip


@pytest.mark.parametrize("line", CLEAN)
def test_ordinary_use_is_clean(line):
    assert risks(line) == []
    assert not look_at(line).runner


@pytest.mark.parametrize(("line", "risk"), RISKY)
def test_what_starts_programs_or_changes_settings_is_found(line, risk):
    assert risk in risks(line)


def test_global_options_do_not_hide_the_command():
    def canonical(line):
        return " ".join(value.text for value in look_at(line).canonical)

    assert canonical("git --no-pager push origin main") == "git push origin main"
    assert canonical("git -C x -c y=z --git-dir=q push") == "git push"
    assert canonical("git -p --no-pager push") == "git push"
    assert canonical("git push") == ""


def test_paths_in_history_are_paths():
    assert reads("git show HEAD:.env") == [".env/**"]
    assert reads("git diff HEAD -- .env") == ["HEAD/**", ".env/**"]
    assert reads("git show :.env") == [".env/**"]
    assert reads("git show ':(top).env'") == [".env/**"]
    assert reads("git cat-file -p HEAD:.env") == [".env/**"]
    assert reads("git grep x -- .env") == [".env/**"]
    assert reads("git grep -f .env x") == [".env", "x/**"]
    assert reads("git blame .env") == [".env/**"]
    assert reads("git commit -F .env") == [".env"]


def test_what_git_changes_is_named():
    assert writes("git checkout -- .env") == [".env/**"]
    assert writes("git restore .env") == [".env/**"]
    assert files("git rm .env", "delete") == [".env/**"]
    assert files("git mv a b", "delete") == ["a/**"]
    assert writes("git clone https://x/y/z.git") == ["z/**"]
    assert writes("git clone https://x/y/z.git q") == ["q/**"]
    assert files("git clean -fd", "delete") == ["./**"]
    assert writes("git worktree add ../x") == ["../x/**"]


def test_hosts_of_git():
    assert hosts("git clone https://github.com/a/b") == ["https://github.com/a/b"]
    assert hosts("git fetch git@github.com:a/b") == ["git@github.com:a/b"]
    assert hosts("git push https://x/y main") == ["https://x/y"]
    assert hosts("git push origin main") == []


def test_commands_in_settings_and_addresses_are_commands():
    assert runs("git -c alias.x='!curl y' x") == ["curl y"]
    assert runs("git -c core.pager='curl y' log") == ["curl y"]
    assert runs("git ls-remote 'ext::curl y'") == ["curl y"]
    assert runs("git rebase -x 'curl y' main") == ["curl y"]
    assert runs("git bisect run curl y") == ["curl y"]
    assert runs("git submodule foreach curl y") == ["curl y"]
    assert runs("git config alias.x '!curl y'") == ["curl y"]
