"""Build descriptions that are programs: they run whenever the project is built."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "build script"
GROUP = RUNS
DOC = "Build descriptions that are programs: they run whenever the project is built."

TABLE = Table(
    names=frozenset({
        "build.rs", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts",
        "init.gradle", "gradle.properties", "pom.xml", "build.xml", "ivy.xml", "build.sbt",
        "plugins.sbt", "build.sc", "build.mill", "meson.build", "meson.options",
        "meson_options.txt", "cmakelists.txt", "cmakepresets.json", "cmakeuserpresets.json",
        "conanfile.py", "conanfile.txt", "vcpkg.json", "build", "workspace.bazel", "build.bazel",
        "module.bazel", ".bazelrc", ".buckconfig", "buck", "pants.toml", "build.zig",
        "build.zig.zon", "build.lua", "xmake.lua", "premake5.lua", "package.swift", "mix.exs",
        "rebar.config", "rebar.config.script", "project.clj", "deps.edn", "shadow-cljs.edn",
        "build.boot", "setup.hs", "stack.yaml", "cabal.project", "dune-project", "dune-workspace",
        "gemfile", "gemfile.rb", "podfile", "cartfile", "build.pl", "makefile.pl", "cpanfile",
        "composer.json", "pubspec.yaml", "build.yaml", "artisan", "go.work", "tools.go",
        "directory.build.props", "directory.build.targets", "nuget.config", "global.json",
        "build.cake", "build.fsx", "paket.dependencies", "spago.dhall", "elm.json", "binding.gyp",
        "lerna.json", "nx.json", "turbo.json", "rush.json", "deno.json", "deno.jsonc", "jsr.json",
        "import_map.json", "cargo.toml", "dub.json", "shard.yml", "ant.properties", "build.ps1",
        "psakefile.ps1",
    }),
    folders=frozenset({
        ".cargo", "buildsrc", "build-logic", ".mvn",
    }),
    suffixes=(
        ".gemspec", ".podspec", ".cmake", ".bzl", ".gradle", ".gradle.kts", ".csproj", ".vbproj",
        ".fsproj", ".vcxproj", ".targets", ".props", ".proj", ".cabal", ".nimble", ".rockspec",
        ".opam",
    ),
    paths=(
        ("project", "plugins.sbt"), ("project", "build.properties"),
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what runs when the project is built")
