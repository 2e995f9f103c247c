"""Compiles the hot path into the wheel, where `PASSGATE_COMPILE=1` asks for it.

The sources stay what they are: mypyc makes C of the same files, and without a compiler the wheel
holds them alone and does the same. Which modules are compiled is written in `pyproject.toml`.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileHook(BuildHookInterface):
    """Adds the compiled modules to a wheel; leaves an editable install and an sdist alone."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files of `version`."""
        if version == "editable" or os.environ.get("PASSGATE_COMPILE") != "1":
            return
        source = Path(self.root, "src")
        modules = [
            path.relative_to(source)
            for pattern in self.config["modules"]
            for path in sorted(source.glob(pattern))
            if str(path.relative_to(source)) not in self.config["not-modules"]
        ]
        self._out = tempfile.TemporaryDirectory(prefix="passgate-compiled-")
        out = Path(self._out.name)
        _compile(source, modules, out)
        for made in sorted(out.glob("**/*.so")):
            build_data["force_include"][str(made)] = str(made.relative_to(out))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when the wheel is written."""
        if hasattr(self, "_out"):
            self._out.cleanup()


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
            opt_level=os.environ.get("PASSGATE_OPT", "3"),
            debug_level="1",
            target_dir=str(out / "c"),
            group_name="passgate",
        )
        command = build_ext(Distribution({"name": "passgate", "ext_modules": extensions}))
        command.build_lib = str(out)
        command.build_temp = str(out / "objects")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
