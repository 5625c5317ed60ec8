"""The benches, whose packages the tests do without: what each takes from another of them is there."""

import ast
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"
MODULES = sorted(path.stem for path in BENCH.glob("*.py"))


def defined(module: str) -> set[str]:
    """Names of the module's own top level."""
    found = set()
    for node in ast.parse((BENCH / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_names_taken_from_another_bench_are_defined_there(module):
    for node in ast.walk(ast.parse((BENCH / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            wanted = {name.name for name in node.names}
            assert wanted <= defined(node.module), f"{module}.py wants {wanted - defined(node.module)} of {node.module}.py"
