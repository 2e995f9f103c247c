"""Compiles the hot path into the wheel, where `PASSGATE_COMPILE=1` asks for it.

The sources stay what they are: mypyc makes C of the same files, and without a compiler the wheel
holds them alone and does the same. Which modules are compiled is written in `pyproject.toml`.
"""

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileHook(BuildHookInterface):
    """Adds the compiled modules to a wheel; leaves an editable install and an sdist alone."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What has to be there to build: mypy must also see what the sources import."""
        if not _wanted():
            return []
        core = self.metadata.core
        extras = [name for names in core.optional_dependencies.values() for name in names]
        return [*self.config["compilers"], *core.dependencies, *extras]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files of `version`."""
        if version == "editable" or not _wanted():
            return
        source = Path(self.root, "src")
        self._out = tempfile.TemporaryDirectory(prefix="passgate-compiled-")
        out = Path(self._out.name)
        _compile(source, chosen(source, self.config), out)
        for made in sorted(out.glob("**/*.so")):
            build_data["force_include"][str(made)] = str(made.relative_to(out))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when the wheel is written."""
        if hasattr(self, "_out"):
            self._out.cleanup()


def _wanted() -> bool:
    return os.environ.get("PASSGATE_COMPILE") == "1"


def chosen(source: Path, config: dict[str, Any]) -> list[Path]:
    """The files below `source` that the patterns of `config` name, once each."""
    named = {path for pattern in config["modules"] for path in source.glob(pattern)}
    spared = {source / name for name in config["not-modules"]}
    return sorted(path.relative_to(source) for path in named - spared)


def _compile(source: Path, modules: list[Path], out: Path) -> None:
    # Needed for nothing but this, and not there in every environment that builds a plain wheel.
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    before = Path.cwd()
    os.chdir(source)  # so that files have the names of their modules
    try:
        extensions = mypycify(
            [
                "--strict",
                "--cache-dir",
                os.devnull,
                "--python-executable",
                sys.executable,
                *map(str, modules),
            ],
            opt_level="2",
            debug_level="0",
            multi_file=True,  # one for all is nothing that cores could share
            target_dir=str(out / "c"),
            group_name="passgate",
        )
        for extension in extensions:
            # What only these files call is called directly; what a newer compiler warns of is fine.
            extension.extra_compile_args += ["-fvisibility=hidden", "-Wno-error"]
        command = build_ext(Distribution({"name": "passgate", "ext_modules": extensions}))
        command.build_lib = str(out)
        command.build_temp = str(out / "objects")
        command.ensure_finalized()
        command.build_extensions = lambda: _on_every_core(command)
        command.run()
    finally:
        os.chdir(before)


def _on_every_core(command: Any) -> None:
    """Compiles the files of an extension side by side; setuptools takes one after the other."""
    one_by_one = command.compiler.compile

    def compile_all(sources: list[str], *arguments: Any, **options: Any) -> list[str]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = pool.map(lambda each: one_by_one([each], *arguments, **options), sources)
            return [made for several in objects for made in several]

    command.compiler.compile = compile_all
    type(command).build_extensions(command)
