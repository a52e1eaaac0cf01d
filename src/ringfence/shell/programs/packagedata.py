"""What package managers, task runners and build tools have in common, as tables."""


class Manager:
    """A program whose first operand is a verb."""

    __slots__ = ("alone", "clusters", "direct", "files", "findings", "reads", "risk", "risky", "runs", "scripts", "values", "writes")

    def __init__(  # noqa: PLR0917 - a declaration, read by name
        self,
        *,
        values: str = "",
        risky: dict[str, str] | None = None,
        clusters: str = "",
        files: str = "",
        runs: str = "",
        scripts: str = "",
        findings: dict[str, tuple[str, str]] | None = None,
        reads: str = "",
        writes: str = "",
        alone: bool = False,
        direct: str = "",
        risk: str = "option-runs-program",
    ) -> None:
        """Take words for each field.

        `values`: options with a separate value; `risky`: options and why; `clusters`: those of one letter
        that may have their value attached; `files`: options whose value is a file; `runs`: verbs that run
        what follows; `scripts`: options of these whose value is a text for a shell; `findings`: verbs that
        are a risk; `reads`, `writes`: verbs whose operands are files; `alone`: there is no verb.
        """
        self.values = frozenset(values.split())
        self.risky = risky or {}
        self.clusters = frozenset(clusters.split())
        self.files = frozenset(files.split())
        self.runs = frozenset(runs.split())
        self.scripts = frozenset(scripts.split())
        self.findings = findings or {}
        self.reads = frozenset(reads.split())
        self.writes = frozenset(writes.split())
        self.alone = alone
        self.direct = frozenset(direct.split())
        self.risk = risk


_ELSEWHERE = "works in another folder, whose scripts it then runs"
_SHELL = "has scripts run by another shell"
_INDEX = "fetches packages from another place"
_CONFIG = "takes its configuration from another file"
_SETS = ("package-settings", "changes its configuration, which may name programs to run")
_SENDS = ("publishes", "publishes or changes something for everybody")
_KEYS = ("publishes", "deals with the keys of an account")

_NPM_RISKY = {
    **dict.fromkeys(("--prefix", "-C", "--dir", "--cwd"), _ELSEWHERE),
    **dict.fromkeys(("--script-shell", "--shell", "--shell-emulator", "--scripts-prepend-node-path"), _SHELL),
    **dict.fromkeys(("--registry",), _INDEX),
    **dict.fromkeys(("--userconfig", "--globalconfig", "--config", "--config-dir"), _CONFIG),
    **dict.fromkeys(("--node-options", "--editor", "--viewer", "--browser", "--git", "--onload-script", "--init-module"), "names a program that it starts, or code"),
}
_NPM_VALUES = """--prefix -C --dir --cwd --script-shell --registry --userconfig --globalconfig -w --workspace --loglevel
 --tag --otp --cache --omit --include --filter -F --node-options --package -p --call -c --editor --viewer --shell"""
_NPM_FINDINGS = {
    **dict.fromkeys(("config", "set", "set-script", "c"), _SETS),
    **dict.fromkeys(("publish", "unpublish", "deprecate", "dist-tag", "owner", "access", "team", "hook", "star"), _SENDS),
    **dict.fromkeys(("login", "logout", "adduser", "token", "profile", "add-user"), _KEYS),
    **dict.fromkeys(("edit", "explore", "help", "docs", "repo", "bugs", "home"), ("opener", "opens an editor, a shell, a pager or a browser")),
}
_PIP_RISKY = {
    **dict.fromkeys(("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--index", "--default-index", "--proxy"), _INDEX),
    **dict.fromkeys(("--python", "-p"), "runs another interpreter"),
    **dict.fromkeys(("--config-settings", "-C", "--global-option", "--install-option", "--build-option", "--config-file"), "gives options to what it builds"),
    **dict.fromkeys(("-t", "--target", "--root", "--prefix", "--src"), "installs into another folder"),
    **dict.fromkeys(("--log", "--report"), "writes a file"),
}
_PIP_VALUES = """-i --index-url --extra-index-url -f --find-links --trusted-host --python -C --config-settings -t --target --root
 --prefix --src --log --report -c --constraint -r --requirement -e --editable --proxy --timeout --retries
 --cache-dir --format --only-binary --no-binary --platform --python-version --implementation --abi
 --progress-bar --group --extra --with --from --package --directory --project -p --color --index --default-index
 --env-file --with-requirements --with-editable --config-file --exclude --no-extra --only-group --no-group"""
_PUBLISH = {"publish": _SENDS, "upload": _SENDS, "yank": _SENDS, "owner": _SENDS, "login": _KEYS, "logout": _KEYS, "register": _KEYS, "auth": _KEYS}

MANAGERS: tuple[tuple[str, Manager], ...] = (
    ("npm cnpm", Manager(values=_NPM_VALUES, risky=_NPM_RISKY, clusters="-C", runs="exec x create init innit", scripts="-c --call", findings=_NPM_FINDINGS)),
    ("pnpm", Manager(values=_NPM_VALUES, risky={**_NPM_RISKY}, clusters="-C", runs="dlx exec create", scripts="-c --shell-mode", findings={**_NPM_FINDINGS, "env": ("package-settings", "installs an interpreter")})),
    ("yarn yarnpkg", Manager(values=_NPM_VALUES + " --use-yarnrc --modules-folder", risky={**_NPM_RISKY, "--use-yarnrc": _CONFIG}, runs="dlx exec create", findings={**_NPM_FINDINGS, "policies": _SETS, "plugin": _SETS, "set": _SETS})),
    ("npx pnpx", Manager(alone=True, values="-p --package -c --call -w --workspace --registry --prefix --script-shell --userconfig --node-options", scripts="-c --call", risky=_NPM_RISKY)),
    ("bunx", Manager(alone=True, values="-p --package --cwd", risky=_NPM_RISKY)),
    ("uvx", Manager(alone=True, values=_PIP_VALUES, risky=_PIP_RISKY, files="--with-requirements --env-file")),
    ("pipx", Manager(values=_PIP_VALUES + " --spec --pip-args --suffix", runs="run", risky={**_PIP_RISKY, "--pip-args": "gives options to pip"})),
    ("pip pip3", Manager(values=_PIP_VALUES, risky=_PIP_RISKY, clusters="-i -f -t -C", files="-r --requirement -c --constraint", findings={"config": _SETS, "download": ("option-writes", "writes what it fetches here")} )),
    ("uv", Manager(values=_PIP_VALUES, risky={**_PIP_RISKY, "--directory": _ELSEWHERE, "--project": _ELSEWHERE}, files="-r --requirements --env-file --with-requirements -c --constraint", runs="run tool", findings=_PUBLISH)),
    ("poetry pdm hatch pipenv rye", Manager(values="-C --directory --project -P -e --env --python -p", risky={"-C": _ELSEWHERE, "--directory": _ELSEWHERE, "-P": _ELSEWHERE, "--project": _ELSEWHERE}, runs="run shell", findings={**_PUBLISH, "config": _SETS, "self": _SETS})),
    ("twine flit", Manager(findings={"upload": _SENDS, "register": _KEYS, "publish": _SENDS})),
    ("conda mamba micromamba", Manager(values="-n --name -p --prefix -c --channel -f --file", runs="run", files="-f --file", findings={"config": _SETS})),
    ("bundle bundler", Manager(values="--gemfile --path", runs="exec", files="--gemfile", findings={"config": _SETS, "open": ("opener", "opens an editor")})),
    ("gem", Manager(values="-i --install-dir -n --bindir -s --source -v --version", runs="exec", risky={"-s": _INDEX, "--source": _INDEX, "--config-file": _CONFIG, "-i": "installs into another folder", "--install-dir": "installs into another folder"}, findings={"push": _SENDS, "yank": _SENDS, "owner": _SENDS, "signin": _KEYS, "open": ("opener", "opens an editor")})),
    ("composer", Manager(values="-d --working-dir", risky={"-d": _ELSEWHERE, "--working-dir": _ELSEWHERE}, clusters="-d", runs="exec", findings={"config": _SETS, "global": _SETS})),
    (
        "cargo",
        Manager(
            values="--config --manifest-path --target-dir -p --package --features -F --bin --example --test --bench -j --jobs --target --profile --message-format --color -Z --registry --index -C --exclude",
            risky={"--config": "sets configuration, which may name programs to run", "--manifest-path": _ELSEWHERE, "-C": _ELSEWHERE, "--target-dir": "writes into another folder", "--index": _INDEX, "--registry": _INDEX, "-Z": "uses unstable options", "--out-dir": "writes into another folder", "--artifact-dir": "writes into another folder", "--root": "installs into another folder", "--git": _INDEX},
            findings={**_PUBLISH, "install": ("package-settings", "installs a program for this user")},
        ),
    ),
    (
        "go",
        Manager(
            values="-o -C -run -bench -count -timeout -tags -ldflags -gcflags -asmflags -p -exec -toolexec -overlay -modfile -coverprofile -cpuprofile -memprofile -mod -buildmode -pkgdir -vettool -outputdir -blockprofile -mutexprofile -trace",
            risky={
                **dict.fromkeys(("-exec", "-toolexec", "-vettool", "--exec", "--toolexec", "--vettool"), "names a program that it starts"),
                **dict.fromkeys(("-C", "--C"), _ELSEWHERE),
                **dict.fromkeys(("-overlay", "-modfile", "--overlay", "--modfile"), "takes sources from other files"),
                **dict.fromkeys(("-ldflags", "-gcflags", "-gccgoflags", "-asmflags", "--ldflags"), "gives options to the tools that it starts"),
            },
            findings={"generate": ("option-runs-program", "runs commands that sources name"), "tool": ("option-runs-program", "runs a tool"), "install": ("package-settings", "installs a program for this user"), "telemetry": _SETS, "bug": ("opener", "opens a browser")},
        ),
    ),
    ("brew port", Manager(runs="sh exec", findings={"edit": ("opener", "opens an editor"), "services": ("scheduler", "starts services"), "tap": ("package-settings", "adds a source of packages")})),
    (
        "apt apt-get aptitude",
        Manager(
            values="-o --option -c --config-file -t --target-release --default-release -a",
            risky={"-o": "sets options, which may name programs to run", "--option": "sets options, which may name programs to run", "-c": _CONFIG, "--config-file": _CONFIG, "--allow-unauthenticated": "takes packages of unknown origin"},
            clusters="-o -c",
            findings={"changelog": ("pager", "opens a pager"), "edit-sources": ("opener", "opens an editor"), **dict.fromkeys(("install", "remove", "purge", "upgrade", "dist-upgrade", "full-upgrade", "autoremove", "reinstall"), ("system-change", "changes what is installed on this machine"))},
        ),
    ),
    ("dpkg rpm", Manager(risky={**dict.fromkeys(("-i", "--install", "-r", "--remove", "-P", "--purge", "-U", "-e", "--erase", "-F", "--unpack", "--configure", "--eval", "-E", "--pipe", "--define", "-D", "--load", "--pre-invoke", "--post-invoke"), "changes what is installed on this machine, or runs something")}, clusters="-i -r -P -U -e -F -E -D", risk="system-change")),
    ("dnf yum zypper pacman apk emerge xbps-install nix-env slackpkg", Manager(risky={**dict.fromkeys(("-c", "--config", "--setopt", "--installroot", "--root", "-r", "--repository", "-X", "--hookdir"), _CONFIG), **dict.fromkeys(("-S", "-R", "-U", "-Sy", "-Syu", "-Rns", "-i", "-e", "-iA"), "changes what is installed on this machine")}, clusters="-S -R -U -i -e", findings=dict.fromkeys(("install", "remove", "erase", "upgrade", "update", "add", "del", "in", "rm", "up", "shell", "dist-upgrade"), ("system-change", "changes what is installed on this machine")))),
    ("mise rtx asdf", Manager(values="-C --cd -E --env", runs="exec x", scripts="-c --command", risky={"-C": _ELSEWHERE, "--cd": _ELSEWHERE}, findings={"trust": _SETS, "settings": _SETS, "set": _SETS, "generate": _SETS})),
    ("direnv", Manager(runs="exec", findings={"allow": ("package-settings", "trusts a file that runs commands"), "permit": ("package-settings", "trusts a file that runs commands"), "edit": ("opener", "opens an editor")})),
    ("devbox", Manager(values="-c --config -e --env --env-file", risky={"-c": _ELSEWHERE, "--config": _ELSEWHERE}, runs="run shell global", files="--env-file")),
    ("nix", Manager(values="--option --expr -f --file --arg --argstr -I --builders", risky={"--option": "sets configuration", "--expr": "evaluates code", "-E": "evaluates code", "--builders": "builds on other machines", "--impure": "evaluates code of this machine"}, runs="run shell develop", scripts="-c --command --run", findings={"eval": ("interpreter-code", "evaluates code"), "repl": ("interpreter-code", "evaluates code")})),
    ("nix-shell nix-build nix-instantiate", Manager(alone=True, values="-p --packages --expr -E --run --command -I --option --arg --argstr -A -i", scripts="--run --command", risky={"-E": "evaluates code", "--expr": "evaluates code", "-I": _INDEX, "--option": "sets configuration"})),
    ("rbenv pyenv nodenv jenv goenv tfenv", Manager(runs="exec")),
    ("nvm fnm volta n", Manager(runs="exec run")),
    ("rustup", Manager(runs="run", findings={"doc": ("opener", "opens a browser"), "override": _SETS, "set": _SETS, "self": _SETS})),
    ("dotnet nuget", Manager(runs="exec", findings={"nuget": _SENDS, "tool": ("package-settings", "installs a program")})),
    ("lerna nx turbo rush", Manager(values="--scope", runs="exec")),
    ("pre-commit lefthook husky", Manager(values="-c --config", risky={"-c": _CONFIG, "--config": _CONFIG}, findings=dict.fromkeys(("install", "uninstall", "try-repo", "autoupdate", "add", "set"), ("package-settings", "changes the repository's hooks or where they come from")))),
)

_MAKE_RISKY = {
    **dict.fromkeys(("-C", "--directory"), _ELSEWHERE),
    **dict.fromkeys(("-E", "--eval"), "runs rules that stand in its arguments"),
    **dict.fromkeys(("-f", "--file", "--makefile"), "takes its rules from another file"),
    **dict.fromkeys(("-I", "--include-dir"), "takes rules from another folder"),
}
BUILDERS: tuple[tuple[str, Manager], ...] = (
    ("make gmake bmake mk remake", Manager(values="-C --directory -E --eval -f --file --makefile -I --include-dir -o --old-file -W --what-if", risky=_MAKE_RISKY, clusters="-C -E -f -I", files="-f --file --makefile")),
    ("just", Manager(values="-f --justfile -d --working-directory --shell --shell-arg --dotenv-path --set -E", risky={**dict.fromkeys(("-f", "--justfile"), "takes its rules from another file"), **dict.fromkeys(("-d", "--working-directory"), _ELSEWHERE), **dict.fromkeys(("--shell", "--shell-arg", "--chooser", "--choose", "-c", "--command", "--cygpath", "-e", "--edit"), "names a program that it starts")}, clusters="-f -d", files="-f --justfile")),
    ("task rake mage invoke inv fab doit nox tox scons waf gulp grunt jake ant", Manager(values="-f --rakefile --taskfile -t -d --dir -e -r -C -c --search-root --collection", risky={**dict.fromkeys(("-f", "--rakefile", "--taskfile", "-buildfile", "-t", "--entrypoint", "--collection", "-c", "--gulpfile", "--gruntfile", "-C", "-d", "--dir", "--cwd", "--base"), "takes its tasks from another place"), **dict.fromkeys(("-e", "--execute", "-p", "--execute-print", "-E", "--execute-continue", "-r", "--require", "-lib", "-listener", "-logger"), "runs code of its arguments")})),
    ("cmake ctest cpack", Manager(values="-S -B -C -D -G -T -A -P -E --build --install --toolchain -j --config --target", risky={"-P": "runs a script", "-E": "runs a tool of its own", "-C": "takes settings from a file", "--toolchain": "takes settings from a file", "--debugger": "opens a debugger", "-S-script": "runs a script", "--build-and-test": "runs commands", "--overwrite": "sets configuration"}, clusters="-P -C")),
    ("ninja samu meson", Manager(values="-C -f -j -k -t -d", risky={"-C": _ELSEWHERE, "-f": "takes its rules from another file", "--wrap-mode": "fetches sources"}, clusters="-C -f", findings={"devenv": ("runner", "runs a command")})),
    ("bazel bazelisk buck buck2", Manager(risky=dict.fromkeys(("--bazelrc", "--run_under", "--workspace_status_command", "--output_user_root", "--output_base", "--override_repository", "--server_javabase", "--host_jvm_args", "--credential_helper"), "names a program or files that it uses"), runs="")),
    ("gradle gradlew mvn mvnw mvnd sbt lein mill", Manager(values="-I --init-script -b --build-file -c --settings-file -p --project-dir -g --gradle-user-home -f --file -s --settings -gs --global-settings -P -D -t --toolchains", risky={**dict.fromkeys(("-I", "--init-script", "-b", "--build-file", "-c", "--settings-file", "-p", "--project-dir", "-g", "--gradle-user-home", "-f", "--file", "-s", "--settings", "-gs", "--global-settings", "-t", "--toolchains", "--include-build"), "takes its build from another place")}, findings={**dict.fromkeys(("exec:exec", "exec:java", "deploy", "publish", "deploy:deploy-file"), ("option-runs-program", "runs or sends something"))})),
)
