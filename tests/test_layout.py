"""Guards of the layout: packages, links, the direction of imports, and what a bare import loads."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINKED = ("adapters", "eval", "instruct_data")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
DATA_FOLDERS = {"mllm.chat_templates", "mllm.data", "mllm.schema", "mllm.reference"}

# What a file may not import, by the place of the file. The model joins audio, encoders and adapters, which know
# nothing of each other; training, serving, commands and evaluation use the model.
MODEL = (
    "mllm.configuration",
    "mllm.hearing",
    "mllm.modeling",
    "mllm.checkpoint",
    "mllm.processing",
    "mllm.listener",
)
USERS = ("mllm.train", "mllm.commands", "mllm.cli", "mllm.serve", "mllm.recommend", "mllm.eval", "mllm.instruct_data")
HEARING = ("mllm.audio", "mllm.decode")
TEXT = ("mllm.messages", "mllm.prompt")
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "mllm.errors": ("mllm",),
    "mllm.message_fields": (*HEARING, *TEXT, *MODEL, *USERS, "torch", "transformers"),
    "mllm.tool_calls": (*HEARING, *TEXT, *MODEL, *USERS, "torch", "transformers"),
    "mllm.settings": (*HEARING, *TEXT, *MODEL, *USERS, "torch", "transformers"),
    "mllm.terminal": (*HEARING, *TEXT, *MODEL, *USERS, "torch", "transformers"),
    "mllm.facts": (*HEARING, *TEXT, *MODEL, *USERS, "mllm.encoders", "mllm.adapters", "torch", "transformers"),
    "mllm.decode": (*TEXT, *MODEL, *USERS, "mllm.audio", "mllm.encoders", "mllm.adapters", "torch", "transformers"),
    "mllm.audio": (*TEXT, *MODEL, *USERS, "mllm.encoders", "mllm.adapters", "torch", "transformers"),
    "mllm.serve_settings": (*HEARING, *TEXT, *MODEL, *USERS, "torch", "transformers"),
    "mllm.captions": (*HEARING, *TEXT, *MODEL, *USERS, "torch", "transformers"),
    "mllm.items": (*HEARING, *TEXT, *MODEL, *USERS, "transformers"),
    "mllm.registry": (*HEARING, *TEXT, *MODEL, *USERS, "torch", "transformers"),
    "mllm.messages": (*HEARING, *MODEL, *USERS, "mllm.encoders", "mllm.adapters", "torch"),
    "mllm.prompt": (*HEARING, *MODEL, *USERS, "mllm.encoders", "mllm.adapters", "torch"),
    "mllm.templates": (*HEARING, *TEXT, *MODEL, *USERS, "mllm.encoders", "mllm.adapters", "transformers"),
    "mllm.absent_encoder": (*HEARING, *TEXT, *MODEL, *USERS, "mllm.encoders", "mllm.adapters", "transformers"),
    "mllm.encoders": (*HEARING, *TEXT, *MODEL, *USERS, "mllm.adapters"),
    "mllm.adapters": (*HEARING, *TEXT, *MODEL, *USERS, "mllm.encoders"),
    "mllm.answer_loss": (*HEARING, "mllm.messages", *MODEL, *USERS, "mllm.encoders", "mllm.adapters"),
    "mllm.lora": (*HEARING, *TEXT, *MODEL, *USERS, "mllm.encoders", "mllm.adapters"),
    "mllm.quantised": (
        *(*HEARING, *TEXT, *USERS, "mllm.encoders", "mllm.adapters"),
        *("mllm.hearing", "mllm.modeling", "mllm.checkpoint", "mllm.processing", "mllm.listener"),
    ),
    "mllm.configuration": (*HEARING, *USERS),
    "mllm.hearing": (*HEARING, *TEXT, *USERS, "mllm.modeling", "mllm.checkpoint", "mllm.processing", "mllm.listener"),
    "mllm.learning": (*HEARING, *TEXT, *USERS, "mllm.modeling", "mllm.checkpoint", "mllm.processing", "mllm.listener"),
    "mllm.modeling": USERS,
    "mllm.checkpoint": USERS,
    "mllm.export": USERS,
    "mllm.processing": USERS,
    "mllm.listener": USERS,
    "mllm.commands": ("mllm.serve",),
    "mllm.cli": ("mllm.serve",),
    "mllm.serve": ("mllm.commands", "mllm.cli", "mllm.train", "mllm.eval", "mllm.instruct_data"),
    "mllm.train": ("mllm.commands", "mllm.cli", "mllm.serve"),
    "mllm.instruct_data": ("mllm.commands", "mllm.cli", "mllm.eval", "mllm.serve"),
    "mllm.eval": ("mllm.commands", "mllm.cli", "mllm.train", "mllm.serve"),
}


def source_files() -> dict[str, Path]:
    """Every Python file of the package by its import name; the linked folders are taken where they really stand."""
    files: dict[str, Path] = {}
    for path in sorted((ROOT / "mllm").rglob("*.py")):
        parts = path.relative_to(ROOT / "mllm").parts
        if parts[0] not in LINKED:
            files[".".join(("mllm", *parts[:-1], path.stem)).removesuffix(".__init__")] = path
    for folder in LINKED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            files[".".join(("mllm", *parts[:-1], path.stem)).removesuffix(".__init__")] = path
    return files


FILES = source_files()


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, except for type checking; `from a import b` gives a and a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the whole name"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def test_listed_packages_are_the_folders_there_are() -> None:
    folders = {name for name, path in FILES.items() if path.name == "__init__.py"}
    assert sorted(SETTINGS["tool"]["setuptools"]["packages"]) == sorted(folders)


def test_every_folder_with_code_is_a_package() -> None:
    packages = set(SETTINGS["tool"]["setuptools"]["packages"])
    homeless = {
        name for name, path in FILES.items() if path.name != "__init__.py" and name.rpartition(".")[0] not in packages
    }
    assert not homeless - {name for name in homeless if any(within(name, folder) for folder in DATA_FOLDERS)}


@pytest.mark.parametrize("folder", LINKED)
def test_top_level_folders_are_linked_into_the_package(folder: str) -> None:
    link = ROOT / "mllm" / folder
    assert link.is_symlink()
    assert link.readlink() == Path("..") / folder
    assert SETTINGS["tool"]["setuptools"]["package-dir"][f"mllm.{folder}"] == folder


def test_the_links_are_committed_as_links() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listing = subprocess.run(
        ["git", "ls-files", "-s", *(f"mllm/{folder}" for folder in LINKED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.split()[0] for line in listing] == ["120000"] * len(LINKED)


def test_bare_folder_names_are_banned() -> None:
    assert set(SETTINGS["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]) == set(LINKED)
    for path in [*FILES.values(), *(ROOT / "scripts").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        assert not {module.partition(".")[0] for module in imports(path)} & set(LINKED), path


@pytest.mark.parametrize("place", FORBIDDEN)
def test_imports_point_one_way(place: str) -> None:
    wrong = [
        f"{name} imports {module}"
        for name, path in FILES.items()
        if within(name, place)
        for module in imports(path)
        if any(within(module, forbidden) for forbidden in FORBIDDEN[place] if not within(place, forbidden))
        and not within(module, place)
        and module != "mllm"
    ]
    assert not wrong


@pytest.mark.parametrize("place", ["mllm.eval", "mllm.instruct_data"])
def test_the_package_knows_neither_evaluation_nor_data(place: str) -> None:
    wrong = [
        f"{name} imports {module}"
        for name, path in FILES.items()
        if not any(within(name, f"mllm.{folder}") for folder in LINKED)
        for module in imports(path)
        if within(module, place)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("library", "homes"),
    [("deepspeed", ("mllm.train",)), ("vllm", ("mllm.serve", "mllm.eval.models._vllm_engine"))],
)
def test_heavy_libraries_have_their_homes(library: str, homes: tuple[str, ...]) -> None:
    users = {name for name, path in FILES.items() if any(within(module, library) for module in imports(path))}
    assert all(any(within(name, home) for home in homes) for name in users), users


@pytest.mark.parametrize("name", FILES)
def test_every_file_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(ast.parse(FILES[name].read_text(encoding="utf-8")))


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_bare_import_loads_no_heavy_library() -> None:
    loaded = "import sys, mllm; print([m for m in ('torch', 'transformers', 'numpy', 'av') if m in sys.modules])"
    assert run_python(loaded) == "[]"


def test_hearing_and_parsing_load_no_torch() -> None:
    code = "import sys, mllm.audio, mllm.registry, mllm.facts, mllm.messages; print('torch' in sys.modules)"
    assert run_python(code) == "False"


def test_public_names_are_resolved_on_first_use() -> None:
    import mllm

    for name in mllm.__all__:
        assert name in dir(mllm)
        assert getattr(mllm, name) is getattr(mllm, name)
    with pytest.raises(AttributeError, match="module 'mllm' has no attribute 'Musik'"):
        _ = mllm.Musik
