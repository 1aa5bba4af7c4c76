"""What the compiler made of the kernels: full-width loops, no FMA, one symbol an object."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fallline.kernel import KERNELS

ROOT = Path(__file__).parents[1]
REGISTERS = {"sse2": "xmm", "avx2": "ymm", "avx512": "zmm"}  # of a full-width operation
SUFFIXES = {"float": "ps", "double": "pd"}
ARITHMETIC = ("sqrt", "div", "mul", "add", "sub")
# A compiler may call these for initializations and copies; anything else that an object needs from
# outside could be an instance of a template, shared with objects for other CPUs.
ALLOWED_FROM_OUTSIDE = {"memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_"}

# With the tools that pip put beside the interpreter.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

pytestmark = [
    pytest.mark.skipif(
        platform.machine() != "x86_64" or sys.platform != "linux", reason="reads x86-64 ELF objects"
    ),
    pytest.mark.skipif(
        not (ROOT / "CMakeLists.txt").exists(), reason="needs the sources beside the tests"
    ),
]

Objects = dict[str, Path]  # of each ISA
KINDS = {"kernels": "kernels()", "objective_kernels": "objectives()"}  # and what they export
Code = dict[str, list[str]]  # instructions of each function


def run(*command: str | Path) -> str:
    env = {**os.environ, "PATH": PATH}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Objects]:
    """The kernels as the build makes them: of each kind an object file an ISA."""
    for tool in ("cmake", "objdump", "nm"):
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"needs {tool}")
    if not any(shutil.which(c) for c in (os.environ.get("CXX"), "c++", "g++", "clang++") if c):
        pytest.skip("needs a C++ compiler")
    build = tmp_path_factory.mktemp("core")
    run("cmake", "-S", ROOT, "-B", build, "-DFALLLINE_PYTHON=OFF", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", build, "--parallel", "2")
    folders = {f.name[len("kernels_") : -len(".dir")]: f for f in build.glob("**/kernels_*.dir")}
    return {
        kind: {isa: next(f.rglob(f"{kind}.cpp.o")) for isa, f in folders.items()} for kind in KINDS
    }


@pytest.fixture(scope="module")
def disassembled(built: dict[str, Objects]) -> dict[str, dict[str, Code]]:
    return {
        kind: {isa: disassemble(path) for isa, path in objects.items()}
        for kind, objects in built.items()
    }


@pytest.fixture(scope="module")
def code(disassembled: dict[str, dict[str, Code]]) -> dict[str, Code]:
    return disassembled["kernels"]


def disassemble(path: Path) -> Code:
    functions: Code = {}
    for line in run("objdump", "-dC", "--no-show-raw-insn", path).splitlines():
        if header := re.fullmatch(r"[0-9a-f]+ <(.+)>:", line):
            functions[header[1]] = []
        elif instruction := re.fullmatch(r"\s+[0-9a-f]+:\s+(.+)", line):
            functions[next(reversed(functions))].append(instruction[1])
    return functions


def entries(code: Code, dtype: str) -> dict[str, str]:
    """The function of each rule that a tile is handed to."""
    pattern = re.compile(rf"\bapply_rule<(?:\w+::|\(anonymous namespace\)::)*([\w<>]+), {dtype}>\(")
    found = ((pattern.search(name), name) for name in code)
    # stream<2> is registered as stream2.
    return {re.sub("[<>]", "", match[1]): name for match, name in found if match}


def reachable(code: Code, entry: str) -> Iterator[str]:
    """Instructions of a function and of those it calls or jumps to."""
    seen, ahead = {entry}, [entry]
    while ahead:
        for instruction in code[ahead.pop()]:
            yield instruction
            target = re.search(r"[0-9a-f]+ <(.+?)(?:\+0x[0-9a-f]+)?>$", instruction)
            if target and target[1] in code and target[1] not in seen:
                seen.add(target[1])
                ahead.append(target[1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_isa_is_looked_at(built: dict[str, Objects], kind: str) -> None:
    assert set(built[kind]) == set(REGISTERS)


@pytest.mark.parametrize("isa", REGISTERS)
def test_every_rule_is_looked_at(code: dict[str, Code], isa: str) -> None:
    for dtype in SUFFIXES:
        assert set(entries(code[isa], dtype)) == set(KERNELS)


@pytest.mark.parametrize("dtype", SUFFIXES)
@pytest.mark.parametrize("isa", REGISTERS)
@pytest.mark.parametrize("rule", KERNELS)
def test_update_loops_have_full_width(
    code: dict[str, Code], rule: str, isa: str, dtype: str
) -> None:
    suffix = SUFFIXES[dtype]
    entry = entries(code["sse2"], dtype)[rule]
    # What the rule computes with, be it packed or in the loop's scalar rest.
    scalar = f"s{suffix[1]}"
    baseline = {i.split()[0] for i in reachable(code["sse2"], entry)}
    used = {op for op in ARITHMETIC if baseline & {op + suffix, op + scalar}}
    if "sqrt" in used:
        used |= {"div"}  # by the root; a compiler might have found a reciprocal

    wide = {
        instruction.split()[0].removeprefix("v")
        for instruction in reachable(code[isa], entries(code[isa], dtype)[rule])
        if REGISTERS[isa] in instruction
    }
    packed = {op for op in ARITHMETIC if op + suffix in wide}
    assert used <= packed
    # The check for non-finite gradients subtracts in every rule.
    assert "sub" in packed


@pytest.mark.parametrize("isa", REGISTERS)
def test_conversions_and_sums_have_full_width(code: dict[str, Code], isa: str) -> None:
    stages = re.compile(r"\b(decode<|encode<|encode_randomly<|store_parameter\(|sum_squares_tile<)")
    names = [name for name in code[isa] if stages.search(name)]
    # Storage × compute types, back, back by random bits, what makes these; a sum per compute type.
    assert len(names) == 4 * 2 + 4 + 2 + 1 + 2
    for name in names:
        if "decode<double, float>" in name:
            continue  # clang goes by the wider type: half a register of float
        assert any(REGISTERS[isa] in line for line in reachable(code[isa], name)), name


@pytest.mark.parametrize("dtype", SUFFIXES)
@pytest.mark.parametrize("isa", REGISTERS)
def test_rows_pass_at_full_width(
    disassembled: dict[str, dict[str, Code]], isa: str, dtype: str
) -> None:
    """Products of rows are formed and added on full registers, rows fetched ahead beside them."""
    code = disassembled["objective_kernels"][isa]
    # The losses, which compute in float64, are called by address and so are not reached.
    entry = next(name for name in code if "any_dense_rows" in name)
    wide = [line for line in reachable(code, entry) if REGISTERS[isa] in line]
    suffix = SUFFIXES[dtype]
    multiplied = sum(re.match(rf"v?mul{suffix}\b", line) is not None for line in wide)
    added = sum(re.match(rf"v?add{suffix}\b", line) is not None for line in wide)
    # dots and add_rows of 8, 4 and 1 rows have a product a row at least.
    assert multiplied >= 2 * 8 + 4 + 1
    assert added >= 2 * 8 + 4 + 1
    assert any(line.startswith("prefetch") for line in reachable(code, entry))


# Loops of the objectives and how many there are of each: heads, curves and activations as listed in
# cpp/include/fallline, by compute type where they have one.
LOOPS = {
    r"\b(linear|logistic|softmax)::(value<8ul>|curve)\(": 6,
    r"\bcurve_points<.*(gabor|shallow_relu), (float|double)>": 4,
    r"\bactivate_as<.*(gelu|identity|relu|sigmoid|silu|softplus|tanh), (float|double)>": 14,
    r"\bpull_back_as<(float|double)>": 2,
    r"\bcombine_as<(double, double|double, float|float, float)>": 3,
    r"\bpenalize_as<(float|double)>": 2,
}


@pytest.mark.parametrize("isa", REGISTERS)
@pytest.mark.parametrize("loop", LOOPS)
def test_loops_of_objectives_have_full_width(
    disassembled: dict[str, dict[str, Code]], loop: str, isa: str
) -> None:
    code = disassembled["objective_kernels"][isa]
    found = {match[0]: name for name in code if (match := re.search(loop, name))}
    assert len(found) == LOOPS[loop]
    for name in found.values():
        wide = [line for line in reachable(code, name) if REGISTERS[isa] in line]
        assert any(re.match(r"v?(mul|add)p[sd]\b", line) for line in wide), name


@pytest.mark.parametrize("isa", REGISTERS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_contracted_or_approximated(
    disassembled: dict[str, dict[str, Code]], kind: str, isa: str
) -> None:
    forbidden = re.compile(r"v?(fn?m(add|sub)|rcp|rsqrt)")
    functions = disassembled[kind][isa]
    found = [i for function in functions.values() for i in function if forbidden.match(i)]
    assert not found
    assert sum(map(len, functions.values())) > 1000


@pytest.mark.parametrize("isa", REGISTERS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_object_exports_one_symbol(built: dict[str, Objects], kind: str, isa: str) -> None:
    path = built[kind][isa]
    symbols = [line.split(maxsplit=2) for line in run("nm", "-C", path).splitlines()]
    defined = [(kind, name) for _, kind, name in (s for s in symbols if len(s) == 3)]
    exported = [(kind, name) for kind, name in defined if kind.isupper() or kind in "uvw"]
    assert exported == [("T", f"fallline::{isa}::{KINDS[path.name.split('.')[0]]}")]
    needed = set(run("nm", "-u", path).split()) - {"U"}
    assert needed <= ALLOWED_FROM_OUTSIDE
