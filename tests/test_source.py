"""The source itself: nothing in the package runs what it reads, starts programs, or imports against the order of the house."""

import ast
from pathlib import Path

import pytest

import aecodec

PACKAGE = Path(aecodec.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

PICKLES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
FORBIDDEN_MODULES = PICKLES | {"subprocess", "multiprocessing", "ctypes", "pty", "code", "runpy"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {("os", name) for name in ("system", "popen", "fork", "execv", "spawnv")} | {
    ("torch", "load"),
    ("yaml", "load"),
}
MAY_IMPORT_BY_NAME = {"__init__.py"}  # the package's own names, from a table of constants


def imported(tree):
    """Top-level names of every module that a tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def faults(source):
    """What a module must not do, as text with line numbers."""
    tree = ast.parse(source)
    for name in imported(tree):
        if name in FORBIDDEN_MODULES:
            yield f"imports {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function, place = node.func, f"line {node.lineno}"
        if isinstance(function, ast.Name) and function.id in FORBIDDEN_CALLS:
            yield f"{place} calls {function.id}"
        if isinstance(function, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
            if (owner, function.attr) in FORBIDDEN_ATTRIBUTES:
                yield f"{place} calls {owner}.{function.attr}"
            if function.attr in ("load", "open_memmap", "read_array", "fromfile") and owner in ("np", "numpy", "format", ""):
                yield from _numpy_load(node, function, place)


def _numpy_load(node, function, place):
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    pickles = given.get("allow_pickle")
    if function.attr == "load" and not (isinstance(pickles, ast.Constant) and pickles.value is False):
        yield f"{place} loads arrays without allow_pickle=False"
    if function.attr == "read_array" and not (isinstance(pickles, ast.Constant) and pickles.value is False):
        yield f"{place} reads arrays without allow_pickle=False"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_is_read_can_be_run(path):
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import subprocess as s",
        "eval(x)",
        "exec(x)",
        "compile(x, '', 'eval')",
        "__import__(x)",
        "os.system(x)",
        "np.load(x)",
        "np.load(x, allow_pickle=True)",
        "np.load(x, allow_pickle=flag)",
        "torch.load(x)",
        "yaml.load(x)",
    ],
)
def test_each_fault_is_noticed(source):
    assert list(faults(source))


def test_names_are_imported_only_from_a_table_of_constants():
    by_name = {str(path.relative_to(PACKAGE)) for path in MODULES if "import_module" in path.read_text()}
    assert by_name == MAY_IMPORT_BY_NAME
