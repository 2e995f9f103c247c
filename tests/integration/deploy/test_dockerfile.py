"""Dockerfile: what can be seen of the image without building it; `make image` does that."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from passgate.cli.app import app

PROJECT = Path(__file__).parents[3]
SHIPPED = [PROJECT / "deploy" / place / "gate.yaml" for place in ("gate", "kubernetes")]


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its arguments, comments gone and continued lines joined."""
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    text = re.sub(r"\s*\\\n\s*", " ", text)
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in text.splitlines() if line]


def stages() -> list[list[tuple[str, str]]]:
    """What stands before the first FROM, then one list for each stage, its FROM first."""
    found: list[list[tuple[str, str]]] = [[]]
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def final() -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = {}
    for name, arguments in stages()[-1]:
        by_name.setdefault(name, []).append(arguments)
    return by_name


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for line in final()["ENV"] for word in line.split())


def test_stages_start_from_images_that_can_be_chosen() -> None:
    """Of one Python, that the package supports; only the one that compiles has a compiler."""
    before, build, last = stages()
    assert [name for name, _ in before] == ["ARG", "ARG"]
    assert build[0] == ("FROM", "${BUILD_IMAGE} AS build")
    assert last[0] == ("FROM", "${PYTHON_IMAGE}")

    (_, building), (_, running) = before
    default = re.fullmatch(r"PYTHON_IMAGE=(\S+:(\d+)\.(\d+))-slim", running)
    assert default is not None
    assert building == f"BUILD_IMAGE={default[1]}"
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    least = project["requires-python"].removeprefix(">=").split(".")
    assert (int(default[2]), int(default[3])) >= tuple(map(int, least))


def test_the_hot_path_is_compiled_unless_told_otherwise() -> None:
    """COMPILE=1 reaches the hook of the wheel's build, in the stage that has the compiler."""
    build = stages()[1]
    assert ("ARG", "COMPILE=1") in build
    (made,) = [line for name, line in build if name == "RUN" and "hatchling build" in line]
    assert made.startswith("PASSGATE_COMPILE=${COMPILE} /opt/tools/bin/python -m hatchling build ")


def test_the_final_stage_runs_nothing_and_takes_only_what_was_built() -> None:
    """So no tool, cache or secret of the build can be in it."""
    assert "RUN" not in final()
    assert all(line.startswith("--from=build ") for line in final()["COPY"])


def test_it_runs_as_a_number_that_is_not_root() -> None:
    """Numeric, so that Kubernetes can check runAsNonRoot; and the manifests use the same."""
    assert final()["USER"] == ["65532:65532"]
    names = [name for name, _ in stages()[-1]]
    # What is made after USER would belong to it: here, the directory of its own configuration.
    assert names.index("WORKDIR") < names.index("USER")
    manifest = (PROJECT / "deploy" / "kubernetes" / "statefulset.yaml").read_text()
    assert "runAsUser: 65532\n" in manifest


def test_only_the_data_directory_belongs_to_the_user() -> None:
    """And it is the volume, and what every shipped configuration names."""
    owned = [line for line in final()["COPY"] if "--chown" in line]
    assert owned == ["--from=build --chown=65532:65532 /opt/data /var/lib"]
    (volumes,) = final()["VOLUME"]
    assert json.loads(volumes) == ["/var/lib/passgate"]
    for path in SHIPPED:
        assert yaml.safe_load(path.read_text())["gate"]["data_dir"] == "/var/lib/passgate"


def test_python_writes_no_bytecode_and_finds_the_compiled_one() -> None:
    """A read-only root cannot take it; each start would compile anew."""
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    compiling = [line for name, line in stages()[1] if name == "RUN" and "compileall" in line]
    assert len(compiling) == 1
    assert f"PYTHONPYCACHEPREFIX={environment()['PYTHONPYCACHEPREFIX']} " in compiling[0]
    # By content: an upgraded file in a derived image must not be shadowed by what was compiled.
    assert "--invalidation-mode checked-hash" in compiling[0]


def test_the_health_check_needs_no_shell_and_no_curl() -> None:
    """Our own command, with options that it has, at the admin address of the Compose gate."""
    (check,) = final()["HEALTHCHECK"]
    command = json.loads(check.partition(" CMD ")[2])
    admin = yaml.safe_load(SHIPPED[0].read_text())["admin"]["address"]

    assert command == ["passgate", "health", "--url", f"http://{admin}/readyz"]
    # Exit 1 is a gate that is not ready; wrong options would be exit 2.
    nobody = [*command[1:3], "http://127.0.0.1:1/readyz"]
    assert CliRunner().invoke(app, nobody).exit_code == 1


def test_commands_are_lists_so_that_signals_reach_the_gate() -> None:
    """A shell in between would swallow SIGTERM, and with it the drain."""
    assert [json.loads(line) for line in final()["ENTRYPOINT"]] == [["passgate"]]
    assert [json.loads(line) for line in final()["CMD"]] == [
        ["serve", "--config", "/etc/passgate/gate.yaml"]
    ]
    assert final()["STOPSIGNAL"] == ["SIGTERM"]


def test_nothing_is_fetched_but_hashed_packages() -> None:
    """No ADD, no downloader; each install is from hashes or without an index."""
    assert all(name != "ADD" for name, _ in instructions())
    text = " ".join(arguments for _, arguments in instructions())
    assert re.search(r"curl|wget|apt-get|apk|git |https?://(?!127\.0\.0\.1)", text) is None
    steps = [step for _, line in instructions() for step in line.split("&&") if "/pip " in step]
    installs = [step for step in steps if " install " in step or " wheel " in step]
    assert len(installs) == 3
    for step in installs:
        hashed = "--require-hashes --only-binary :all: -r constraints/" in step
        assert hashed or "--no-index" in step, step


def test_every_constraint_is_pinned_with_a_hash() -> None:
    """Each requirement is one version and at least one SHA-256; no option of pip's besides."""
    for path in (PROJECT / "constraints").glob("*.txt"):
        requirements = path.read_text().replace("\\\n", " ").splitlines()
        for line in filter(None, requirements):
            assert re.match(r"[a-z0-9._-]+==\S+( ; [^#]+?)?\s+--hash=sha256:[0-9a-f]{64}", line), (
                path,
                line,
            )


def files() -> list[Path]:
    """Those of the project, without what tools keep in hidden directories."""
    tops = [path for path in PROJECT.iterdir() if not path.name.startswith(".")]
    tops += [PROJECT / ".ci", PROJECT / ".dockerignore", PROJECT / ".gitignore"]
    found = [below for top in tops for below in (top.rglob("*") if top.is_dir() else [top])]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is the business of the machine that installs them."""
    # In two pieces each, so that this file passes too.
    hosts = rb"(py" + rb"pi|python" + rb"hosted)\.org"
    index = re.compile(hosts + rb"|https?://[^\s\"']+/simple\b|\[\[tool\.uv\.index")
    paths = files()
    assert PROJECT / "Dockerfile" in paths
    assert [path for path in paths if index.search(path.read_bytes())] == []


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    """.dockerignore leaves all out and takes back what COPY names."""
    everything, *rest = (PROJECT / ".dockerignore").read_text().split()
    assert everything == "**"
    taken = {line.removeprefix("!") for line in rest if line.startswith("!")}
    copied: set[str] = set()
    for name, arguments in stages()[1]:
        if name == "COPY":
            copied |= set(arguments.split()[:-1])
    assert taken == copied
    assert "**/__pycache__" in rest


def test_the_image_scripts_are_executable_and_name_no_place() -> None:
    """They find out at run time where this machine takes packages from."""
    for name in ("build-and-try", "try"):
        script = PROJECT / "deploy" / "image" / name
        assert script.stat().st_mode & 0o111
        assert re.search(r"https?://(?!127\.0\.0\.1)", script.read_text()) is None


def test_the_wheel_holds_the_package() -> None:
    """What the build stage copies is all that the build backend needs."""
    project: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    needed = {project["project"]["readme"], *project["project"]["license-files"]}
    copied = " ".join(arguments for name, arguments in stages()[1] if name == "COPY").split()
    assert needed | {"pyproject.toml", "hatch_build.py", "src"} <= set(copied)
