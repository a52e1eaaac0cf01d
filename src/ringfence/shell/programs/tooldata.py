"""Package managers of systems, version managers, task runners and build tools, as tables."""

from ringfence.shell.programs.managers import CONFIG, ELSEWHERE, INDEX, SETS, Manager

TOOLS: tuple[tuple[str, Manager], ...] = (
    (
        "brew port",
        Manager(
            runs="exec sh",
            findings={
                ("opener", "opens an editor"): "edit",
                ("scheduler", "starts services"): "services",
                ("package-settings", "adds a source of packages"): "tap",
            },
        ),
    ),
    (
        "apt apt-get aptitude",
        Manager(
            values="""--config-file --default-release --option --target-release -a -c -o -t""",
            risky={
                "sets options, which may name programs to run": "-o --option",
                CONFIG: "-c --config-file",
                "takes packages of unknown origin": "--allow-unauthenticated",
            },
            clusters="-c -o",
            findings={
                ("pager", "opens a pager"): "changelog",
                ("opener", "opens an editor"): "edit-sources",
                (
                    "system-change",
                    "changes what is installed on this machine",
                ): """install remove purge upgrade dist-upgrade full-upgrade autoremove reinstall""",
            },
        ),
    ),
    (
        "dpkg rpm",
        Manager(
            risky={
                "changes what is installed on this machine, or runs something": """-i --install -r
                --remove -P --purge -U -e --erase -F --unpack --configure --eval
                    -E --pipe --define -D --load --pre-invoke --post-invoke""",
            },
            clusters="-D -E -F -P -U -e -i -r",
            risk="system-change",
        ),
    ),
    (
        "dnf yum zypper pacman apk emerge xbps-install nix-env slackpkg",
        Manager(
            risky={
                CONFIG: """-c --config --setopt --installroot --root -r --repository -X --hookdir""",
                "changes what is installed on this machine": "-S -R -U -Sy -Syu -Rns -i -e -iA",
            },
            clusters="-R -S -U -e -i",
            findings={
                (
                    "system-change",
                    "changes what is installed on this machine",
                ): """install remove erase upgrade update add del in rm up shell dist-upgrade""",
            },
        ),
    ),
    (
        "mise rtx asdf",
        Manager(
            values="--cd --env -C -E",
            risky={
                ELSEWHERE: "-C --cd",
            },
            runs="exec x",
            scripts="--command -c",
            findings={
                SETS: "trust settings set generate",
            },
        ),
    ),
    (
        "direnv",
        Manager(
            runs="exec",
            skips=1,
            findings={
                ("package-settings", "trusts a file that runs commands"): "allow permit",
                ("opener", "opens an editor"): "edit",
            },
        ),
    ),
    (
        "devbox",
        Manager(
            values="--config --env --env-file -c -e",
            risky={
                ELSEWHERE: "-c --config",
            },
            files="--env-file",
            runs="global run shell",
        ),
    ),
    (
        "nix",
        Manager(
            values="--arg --argstr --builders --expr --file --option -I -f",
            risky={
                "sets configuration": "--option",
                "evaluates code": "--expr -E",
                "builds on other machines": "--builders",
                "evaluates code of this machine": "--impure",
            },
            runs="develop run shell",
            scripts="--command --run -c",
            findings={
                ("interpreter-code", "evaluates code"): "eval repl",
            },
        ),
    ),
    (
        "nix-shell nix-build nix-instantiate",
        Manager(
            values="""--arg --argstr --command --expr --option --packages --run -A -E -I -i -p""",
            risky={
                "evaluates code": "-E --expr",
                INDEX: "-I",
                "sets configuration": "--option",
            },
            scripts="--command --run",
            alone=True,
        ),
    ),
    (
        "rbenv pyenv nodenv jenv goenv tfenv",
        Manager(
            runs="exec",
        ),
    ),
    (
        "nvm fnm volta n",
        Manager(
            runs="exec run",
        ),
    ),
    (
        "lerna nx turbo rush",
        Manager(
            values="--scope",
            runs="exec",
        ),
    ),
    (
        "pre-commit lefthook husky",
        Manager(
            values="--config -c",
            risky={
                CONFIG: "-c --config",
            },
            findings={
                (
                    "package-settings",
                    "changes the repository's hooks or where they come from",
                ): "install uninstall try-repo autoupdate add set",
            },
        ),
    ),
    (
        "make gmake bmake mk remake",
        Manager(
            assigns=True,
            values="""--directory --eval --file --include-dir --makefile --old-file --what-if -C -E -I -W
                -f -o""",
            risky={
                ELSEWHERE: "-C --directory",
                "runs rules that stand in its arguments": "-E --eval",
                "takes its rules from another file": "-f --file --makefile",
                "takes rules from another folder": "-I --include-dir",
            },
            clusters="-C -E -I -f",
            files="--file --makefile -f",
        ),
    ),
    (
        "just",
        Manager(
            values="""--dotenv-path --justfile --set --shell --shell-arg --working-directory -E -d -f""",
            risky={
                "takes its rules from another file": "-f --justfile",
                ELSEWHERE: "-d --working-directory",
                "names a program that it starts": """--shell --shell-arg --chooser --choose -c --command
                --cygpath -e --edit""",
            },
            clusters="-d -f",
            files="--justfile -f",
        ),
    ),
    (
        "nox tox doit",
        Manager(
            values="-e -s -k -t -f -c -p -d --dir --workdir",
            risky={"takes its tasks from elsewhere": "-f --noxfile -c --conf --workdir --dir --root -x"},
            clusters="-f -c",
        ),
    ),
    (
        "task rake mage invoke inv fab scons waf gulp grunt jake ant",
        Manager(
            values="""--collection --dir --rakefile --search-root --taskfile -C -c -d -e -f -r -t""",
            risky={
                "takes its tasks from another place": """-f --rakefile --taskfile -buildfile -t
                --entrypoint --collection -c --gulpfile
                    --gruntfile -C -d --dir --cwd --base""",
                "runs code of its arguments": """-e --execute -p --execute-print -E --execute-continue -r
                --require -lib
                    -listener -logger""",
            },
        ),
    ),
    (
        "cmake ctest cpack",
        Manager(
            values="""--build --config --install --target --toolchain -A -B -C -D -E -G -P -S -T -j""",
            risky={
                "runs a script": "-P -S-script",
                "runs a tool of its own": "-E",
                "takes settings from a file": "-C --toolchain",
                "opens a debugger": "--debugger",
                "runs commands": "--build-and-test",
                "sets configuration": "--overwrite",
            },
            clusters="-C -P",
        ),
    ),
    (
        "ninja samu meson",
        Manager(
            values="-C -d -f -j -k -t",
            risky={
                ELSEWHERE: "-C",
                "takes its rules from another file": "-f",
                "fetches sources": "--wrap-mode",
            },
            clusters="-C -f",
            findings={
                ("runner", "runs a command"): "devenv",
            },
        ),
    ),
    (
        "bazel bazelisk buck buck2",
        Manager(
            risky={
                "names a program or files that it uses": """--bazelrc --run_under
                --workspace_status_command --output_user_root
                    --output_base --override_repository --server_javabase --host_jvm_args
                    --credential_helper""",
            },
        ),
    ),
    (
        "gradle gradlew mvn mvnw mvnd sbt lein mill",
        Manager(
            values="""--build-file --file --global-settings --gradle-user-home --init-script --project-dir
                --settings --settings-file --toolchains -D -I -P -b -c -f -g -gs -p -s -t""",
            risky={
                "takes its build from another place": """-I --init-script -b --build-file -c
                --settings-file -p --project-dir -g
                    --gradle-user-home -f --file -s --settings -gs --global-settings -t --toolchains
                    --include-build""",
            },
            findings={
                (
                    "option-runs-program",
                    "runs or sends something",
                ): "exec:exec exec:java deploy publish deploy:deploy-file",
            },
        ),
    ),
)
