"""Which variables change what programs do, and which are known to change nothing that matters.

An assignment is one of three. A **safe** name tells a program about language, colour or the kind of run;
allow rules look past it. A **dangerous** name chooses what runs, what is loaded, which configuration is read,
which host is asked or how the shell reads its own text: setting it is a finding. Every **other** name is
recorded: in front of a command it stops an allow rule, alone it is the shell's own until it is exported.

Dangerous names are whole families, because a family grows with each release of its program: git has over a
hundred `GIT_…`, and four of them run commands today.
"""

SAFE = frozenset({
    "NODE_ENV", "RAILS_ENV", "RACK_ENV", "APP_ENV", "FLASK_ENV", "MIX_ENV", "DENO_ENV", "BUN_ENV",
    "CI", "LANG", "LANGUAGE", "TZ", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM",
    "TERM", "COLUMNS", "LINES", "DEBUG", "VERBOSE", "LOG_LEVEL", "RUST_BACKTRACE", "RUST_LOG",
    "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONHASHSEED",
    "GIT_PAGER_IN_USE", "GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS", "CARGO_TERM_COLOR",
    "DEBIAN_FRONTEND", "TEST_ENV", "NEXT_TELEMETRY_DISABLED", "DO_NOT_TRACK",
    "HOMEBREW_NO_AUTO_UPDATE", "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT", "PY_COLORS",
    "OMP_NUM_THREADS", "MAKEFLAGS_JOBS", "RUST_MIN_STACK", "GOMAXPROCS", "UV_NO_PROGRESS",
})  # fmt: skip
SAFE_STARTS = ("LC_",)

DANGEROUS = frozenset({
    # the shell's own reading and starting
    "PATH", "IFS", "ENV", "CDPATH", "GLOBIGNORE", "SHELLOPTS", "PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT",
    "RPROMPT", "PROMPT_COMMAND", "POSIXLY_CORRECT", "EXECIGNORE", "HOSTFILE", "INPUTRC", "TIMEFORMAT",
    "HISTFILE", "HISTSIZE", "HISTFILESIZE", "HISTCONTROL", "HISTIGNORE", "HISTTIMEFORMAT", "HISTCMD",
    "FCEDIT", "FPATH", "fpath", "path", "cdpath", "module_path", "MODULE_PATH", "ZDOTDIR", "NULLCMD",
    "READNULLCMD", "TMPPREFIX", "MAILPATH", "MAIL", "MAILCHECK", "HOME", "PWD", "OLDPWD", "SHELL", "USER",
    "LOGNAME", "TMPDIR", "TEMP", "TMP", "TMOUT", "FUNCNEST", "auto_resume", "histchars", "COMP_WORDBREAKS",
    "chpwd_functions", "precmd_functions", "preexec_functions", "periodic_functions", "aliases", "functions",
    "commands", "options", "galiases", "saliases", "dis_aliases", "zsh_eval_context", "KEYBOARD_HACK",
    # what other programs start
    "PAGER", "EDITOR", "VISUAL", "BROWSER", "MANPAGER", "MANROFFOPT", "MANOPT", "MANPATH", "SYSTEMD_PAGER",
    "SYSTEMD_EDITOR", "SUDO_EDITOR", "SUDO_ASKPASS", "PSQL_PAGER", "PSQL_EDITOR", "AWS_PAGER", "GH_PAGER",
    "BAT_PAGER", "BAT_CONFIG_PATH", "DELTA_PAGER", "HG_EDITOR", "SVN_EDITOR", "CVS_RSH", "CVSEDITOR",
    "HGRCPATH", "RSYNC_RSH", "RSYNC_PROXY", "RSYNC_CONNECT_PROG", "TERMINAL", "OPENER", "ASKPASS",
    "PINENTRY_USER_DATA", "TAPE", "TAR_OPTIONS", "RSH", "REMOTE_GIT", "BORG_RSH", "RIPGREP_CONFIG_PATH",
    "FZF_DEFAULT_COMMAND", "FZF_DEFAULT_OPTS", "WGETRC", "SYSTEM_WGETRC", "CURL_HOME", "NETRC", "SCREENRC",
    "TMUX", "TMUX_TMPDIR", "VIMINIT", "EXINIT", "MYVIMRC", "GVIMINIT", "VIM", "VIMRUNTIME",
    "EMACSLOADPATH", "GDBINIT", "INFOPATH", "AWKPATH", "AWKLIBPATH", "GAWKPATH", "POSIX_AWK", "TERMINFO",
    "TERMINFO_DIRS", "TERMCAP", "TERMPATH", "GREP_OPTIONS", "GREP_COLORS_CMD", "ACK_OPTIONS", "ACKRC",
    "LESSOPEN", "LESSCLOSE", "UNZIP", "UNZIPOPT", "ZIPOPT", "ZIPINFO", "GZIP", "BZIP", "BZIP2", "XZ_OPT",
    "XZ_DEFAULTS", "ZSTD_CLEVEL", "POSIXLY", "DISPLAY",
    # what they load or build with
    "LOCPATH", "NLSPATH", "GCONV_PATH", "GETCONF_DIR", "HOSTALIASES", "RES_OPTIONS", "LOCALDOMAIN",
    "RESOLV_HOST_CONF", "MALLOC_TRACE", "NIS_PATH", "CLASSPATH", "JDK_JAVA_OPTIONS", "ANT_OPTS",
    "ANT_ARGS", "M2_HOME", "CC", "CXX", "CPP", "LD", "AR", "AS", "NM", "RANLIB", "STRIP", "OBJCOPY", "FC",
    "F77", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "LDLIBS", "ASFLAGS", "ARFLAGS", "LIBRARY_PATH",
    "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "COMPILER_PATH", "MAKEFLAGS",
    "MFLAGS", "MAKEFILES", "MAKELEVEL", "MAKE", "GNUMAKEFLAGS", "PKG_CONFIG", "PKG_CONFIG_PATH",
    "PKG_CONFIG_LIBDIR", "ACLOCAL_PATH", "AUTOCONF", "NODE_OPTIONS", "NODE_PATH", "TS_NODE_PROJECT",
    "TSX_TSCONFIG_PATH", "ELECTRON_RUN_AS_NODE", "ESLINT_USE_FLAT_CONFIG", "R_PROFILE", "R_PROFILE_USER",
    "R_ENVIRON", "R_ENVIRON_USER", "R_HOME", "R_LIBS", "R_LIBS_USER", "LUA_INIT", "LUA_PATH", "LUA_CPATH",
    "TCLLIBPATH", "PSModulePath", "JULIA_LOAD_PATH", "JULIA_DEPOT_PATH", "PHPRC", "PHP_INI_SCAN_DIR",
    "GUILE_LOAD_PATH", "ERL_LIBS", "ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS", "ELIXIR_ERL_OPTIONS",
    "SCHEME_LIBRARY_PATH", "OCAMLPATH", "GHCRTS", "GHC_PACKAGE_PATH", "DOTNET_STARTUP_HOOKS",
    "MSBUILD_EXE_PATH",
    # which hosts are asked, and whether they are checked
    "ALL_PROXY", "all_proxy", "REQUESTS_CA_BUNDLE", "KUBECONFIG", "KRB5_CONFIG", "OPENSSL_CONF",
    "OPENSSL_MODULES", "OPENSSL_ENGINES", "GNUPGHOME", "PIP_INDEX_URL", "MYSQL_HOME", "PGSERVICEFILE",
    "PGSYSCONFDIR", "PGPASSFILE", "ODBCINI", "SQLITE_HISTORY", "VIRTUAL_ENV", "CONDA_EXE", "ASDF_DIR",
    "NVM_DIR", "RBENV_ROOT", "PYENV_ROOT", "BUNDLE_GEMFILE", "RINGFENCE_STATE_DIR", "RINGFENCE_CONFIG_DIR",
    "RINGFENCE_MANAGED_POLICY", "RINGFENCE_CACHE_DIR",
})  # fmt: skip
DANGEROUS_STARTS = (
    "LD_", "DYLD_", "GIT_", "BASH_", "ZSH_", "PYTHON", "PERL", "RUBY", "GEM_", "BUNDLE_", "NODE_", "NPM_",
    "npm_", "YARN_", "PNPM_", "COREPACK_", "DENO_", "BUN_", "JAVA_", "_JAVA_", "JDK_", "MAVEN_", "GRADLE_",
    "SBT_", "KOTLIN_", "CARGO_", "RUSTC", "RUSTFLAGS", "RUSTUP_", "RUSTDOC", "GOPATH", "GOROOT", "GOFLAGS",
    "GOPROXY", "GOBIN", "GOENV", "GONOSUM", "GOINSECURE", "GOPRIVATE", "GOSUMDB", "GOTOOL", "GOCACHE",
    "GOWORK", "GOEXPERIMENT", "GODEBUG", "CGO_", "SSH_", "SSL_", "CURL_", "LESS", "XDG_", "PIP_", "UV_",
    "POETRY_", "PIPENV_", "CONDA_", "TWINE_", "DOCKER_", "BUILDKIT_", "COMPOSE_", "PODMAN_", "CONTAINERS_",
    "CONTAINER_", "KUBE", "HELM_", "AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_", "ANTHROPIC_", "CLAUDE_",
    "OPENAI_", "CODEX_", "GEMINI_", "CURSOR_", "GLIBC_", "GCC_", "CMAKE_", "CTEST_", "NINJA_", "MESON_",
    "CCACHE_", "DISTCC_", "SCCACHE_", "VIM", "NVIM", "EMACS", "GTK_", "QT_", "QML", "GIO_", "GST_",
    "DBUS_", "MESA_", "VK_", "LIBGL_", "OCL_", "CUDA_", "ANSIBLE_", "TF_", "TERRAFORM_", "PULUMI_",
    "VAGRANT_", "PACKER_", "VAULT_", "HOMEBREW_", "NIX_", "GUIX_", "DIRENV_", "MISE_", "ASDF_", "ASAN_",
    "LSAN_", "TSAN_", "UBSAN_", "MSAN_", "COMPlus_", "CORECLR_", "COR_", "DOTNET_", "MONO_", "PHP_",
    "COMPOSER_", "ERL_", "PGHOST", "PGSSL", "PGOPT", "PGSERVICE", "PGDATA", "FZF_", "RIPGREP_", "COMP_",
    "RPS", "SPROMPT", "zle_", "RINGFENCE_", "HUSKY", "LEFTHOOK", "PRE_COMMIT_", "PYTEST_", "JEST_",
    "MOCHA_", "VITE_NODE", "ELECTRON_", "PUPPETEER_", "PLAYWRIGHT_",
)  # fmt: skip
DANGEROUS_ENDS = ("_PROXY", "_proxy", "_PAGER", "_EDITOR", "_ASKPASS", "_RSH", "_BROWSER", "_SHELL")

# The shell computes these itself, or refuses to change them: what a text assigns is not what they hold.
COMPUTED = frozenset({
    "RANDOM", "SRANDOM", "SECONDS", "LINENO", "EPOCHSECONDS", "EPOCHREALTIME", "BASHPID", "BASH_COMMAND",
    "FUNCNAME", "DIRSTACK", "GROUPS", "HISTCMD", "UID", "EUID", "PPID", "PIPESTATUS", "REPLY", "OPTIND",
    "OPTARG", "_", "COPROC", "MAPFILE", "RLENGTH", "MATCH", "match", "mbegin", "mend", "MBEGIN", "MEND",
    "status", "pipestatus", "argv", "ARGC", "TTY", "USERNAME", "GID", "EGID", "ERRNO", "HOST", "VENDOR",
    "signals", "parameters", "HOSTNAME",
})  # fmt: skip


def safe(name: str) -> bool:
    """Say whether an assignment to this name changes nothing that an allow rule would want to know."""
    return name in SAFE or name.startswith(SAFE_STARTS)


def dangerous(name: str) -> bool:
    """Say whether this name chooses what runs, is loaded, is read or is asked."""
    if safe(name):
        return False
    return name in DANGEROUS or name.startswith(DANGEROUS_STARTS) or name.endswith(DANGEROUS_ENDS)


def plain(name: str) -> bool:
    """Say whether this is a plain identifier, in which nothing is evaluated."""
    return name.isascii() and name.isidentifier()
