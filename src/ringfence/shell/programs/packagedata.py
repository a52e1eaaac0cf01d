"""Package managers of languages, as tables."""

from ringfence.shell.programs.managers import CONFIG, ELSEWHERE, INDEX, KEYS, SENDS, SETS, SHELL, Manager

# What the programs of one family share.
_NODE_VALUES = """--cache --call --cwd --dir --editor --filter --globalconfig --include --loglevel
    --node-options --omit --otp --package --prefix --registry --script-shell --shell
    --tag --userconfig --viewer --workspace -C -F -c -p -w"""
_NODE_RISKY = {
    ELSEWHERE: "--prefix -C --dir --cwd",
    SHELL: "--script-shell --shell --shell-emulator --scripts-prepend-node-path",
    INDEX: "--registry",
    CONFIG: "--userconfig --globalconfig --config --config-dir",
    "names a program that it starts, or code": """--node-options --editor --viewer --browser
    --git --onload-script --init-module""",
}
_NODE_FINDINGS = {
    SETS: "config set set-script c",
    SENDS: "publish unpublish deprecate dist-tag owner access team hook star",
    KEYS: "login logout adduser token profile add-user",
    ("opener", "opens an editor, a shell, a pager or a browser"): "edit explore help docs repo bugs home",
}
_PIP_VALUES = """--abi --cache-dir --color --config-file --config-settings --constraint
    --default-index --directory --editable --env-file --exclude --extra
    --extra-index-url --find-links --format --from --group --implementation --index
    --index-url --log --no-binary --no-extra --no-group --only-binary --only-group
    --package --platform --prefix --progress-bar --project --proxy --python
    --python-version --report --requirement --retries --root --src --target --timeout
    --trusted-host --with --with-editable --with-requirements -C -c -e -f -i -p -r -t"""
_PIP_RISKY = {
    INDEX: """-i --index-url --extra-index-url -f --find-links --trusted-host --index
    --default-index --proxy""",
    "runs another interpreter": "--python -p",
    "gives options to what it builds": """--config-settings -C --global-option --install-option
    --build-option --config-file""",
    "installs into another folder": "-t --target --root --prefix --src",
    "writes a file": "--log --report",
}
_ACCOUNT = {
    SENDS: "publish upload yank owner",
    KEYS: "login logout register auth",
}

MANAGERS: tuple[tuple[str, Manager], ...] = (
    (
        "npm cnpm",
        Manager(
            values=_NODE_VALUES,
            risky=_NODE_RISKY,
            clusters="-C",
            runs="create exec init innit x",
            scripts="--call -c",
            findings={
                **_NODE_FINDINGS,
            },
        ),
    ),
    (
        "pnpm",
        Manager(
            values=_NODE_VALUES,
            risky=_NODE_RISKY,
            clusters="-C",
            runs="create dlx exec",
            scripts="--shell-mode -c",
            findings={
                **_NODE_FINDINGS,
                ("package-settings", "installs an interpreter"): "env",
            },
        ),
    ),
    (
        "yarn yarnpkg",
        Manager(
            values=_NODE_VALUES + " --modules-folder --use-yarnrc",
            risky={**_NODE_RISKY, CONFIG: _NODE_RISKY[CONFIG] + " --use-yarnrc"},
            runs="create dlx exec",
            findings={
                **_NODE_FINDINGS,
                SETS: "config set set-script c policies plugin",
            },
        ),
    ),
    (
        "npx pnpx",
        Manager(
            values="""--call --node-options --package --prefix --registry --script-shell --userconfig
                --workspace -c -p -w""",
            risky=_NODE_RISKY,
            scripts="--call -c",
            alone=True,
        ),
    ),
    (
        "bunx",
        Manager(
            values="--cwd --package -p",
            risky=_NODE_RISKY,
            alone=True,
        ),
    ),
    (
        "uvx",
        Manager(
            values=_PIP_VALUES,
            risky=_PIP_RISKY,
            files="--env-file --with-requirements",
            alone=True,
        ),
    ),
    (
        "pipx",
        Manager(
            values=_PIP_VALUES + " --pip-args --spec --suffix",
            risky={
                **_PIP_RISKY,
                "gives options to pip": "--pip-args",
            },
            runs="run",
        ),
    ),
    (
        "pip pip3",
        Manager(
            values=_PIP_VALUES,
            risky=_PIP_RISKY,
            clusters="-C -f -i -t",
            files="--constraint --requirement -c -r",
            findings={
                SETS: "config",
                ("option-writes", "writes what it fetches here"): "download",
            },
        ),
    ),
    (
        "uv",
        Manager(
            values=_PIP_VALUES,
            risky={
                **_PIP_RISKY,
                ELSEWHERE: "--directory --project",
            },
            files="""--constraint --env-file --requirements --with-requirements -c -r""",
            runs="run tool",
            findings={
                **_ACCOUNT,
            },
        ),
    ),
    (
        "poetry pdm hatch pipenv rye",
        Manager(
            values="--directory --env --project --python -C -P -e -p",
            risky={
                ELSEWHERE: "-C --directory -P --project",
            },
            runs="run shell",
            findings={
                **_ACCOUNT,
                SETS: "config self",
            },
        ),
    ),
    (
        "twine flit",
        Manager(
            findings={
                SENDS: "upload publish",
                KEYS: "register",
            },
        ),
    ),
    (
        "conda mamba micromamba",
        Manager(
            values="--channel --file --name --prefix -c -f -n -p",
            files="--file -f",
            runs="run",
            findings={
                SETS: "config",
            },
        ),
    ),
    (
        "bundle bundler",
        Manager(
            values="--gemfile --path",
            files="--gemfile",
            runs="exec",
            findings={
                SETS: "config",
                ("opener", "opens an editor"): "open",
            },
        ),
    ),
    (
        "gem",
        Manager(
            values="--bindir --install-dir --source --version -i -n -s -v",
            risky={
                INDEX: "-s --source",
                CONFIG: "--config-file",
                "installs into another folder": "-i --install-dir",
            },
            runs="exec",
            findings={
                SENDS: "push yank owner",
                KEYS: "signin",
                ("opener", "opens an editor"): "open",
            },
        ),
    ),
    (
        "composer",
        Manager(
            values="--working-dir -d",
            risky={
                ELSEWHERE: "-d --working-dir",
            },
            clusters="-d",
            runs="exec",
            findings={
                SETS: "config global",
            },
        ),
    ),
    (
        "cargo",
        Manager(
            values="""--bench --bin --color --config --example --exclude --features --index --jobs
                --manifest-path --message-format --package --profile --registry --target
                --target-dir --test -C -F -Z -j -p""",
            risky={
                "sets configuration, which may name programs to run": "--config",
                ELSEWHERE: "--manifest-path -C",
                "writes into another folder": "--target-dir --out-dir --artifact-dir",
                INDEX: "--index --registry --git",
                "uses unstable options": "-Z",
                "installs into another folder": "--root",
            },
            findings={
                **_ACCOUNT,
                ("package-settings", "installs a program for this user"): "install",
            },
        ),
    ),
    (
        "go",
        Manager(
            values="""-C -asmflags -bench -blockprofile -buildmode -count -coverprofile -cpuprofile -exec
                -gcflags -ldflags -memprofile -mod -modfile -mutexprofile -o -outputdir -overlay -p
                -pkgdir -run -tags -timeout -toolexec -trace -vettool""",
            risky={
                "names a program that it starts": "-exec -toolexec -vettool --exec --toolexec --vettool",
                ELSEWHERE: "-C --C",
                "takes sources from other files": "-overlay -modfile --overlay --modfile",
                "gives options to tools that it starts": "-ldflags -gcflags -gccgoflags -asmflags --ldflags",
            },
            findings={
                ("option-runs-program", "runs commands that sources name"): "generate",
                ("option-runs-program", "runs a tool"): "tool",
                ("package-settings", "installs a program for this user"): "install",
                SETS: "telemetry",
                ("opener", "opens a browser"): "bug",
            },
        ),
    ),
    (
        "rustup",
        Manager(
            runs="run",
            skips=1,
            findings={
                ("opener", "opens a browser"): "doc",
                SETS: "override set self",
            },
        ),
    ),
    (
        "dotnet nuget",
        Manager(
            runs="exec",
            findings={
                SENDS: "nuget",
                ("package-settings", "installs a program"): "tool",
            },
        ),
    ),
)
