"""The package as a whole: what it imports, what the environment forces, how it installs."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from importlib import metadata
from pathlib import Path

import pytest

import fallline as fl

ROOT = Path(__file__).parents[1]
needs_native = pytest.mark.skipif("native" not in fl.backends(), reason="needs the C++ core")


def run(code: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **env},
        check=False,
    )


def output(code: str, *options: str, **env: str) -> str:
    done = run(code, *options, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- imports and names ---------------------------------------------------------------------------


def test_import_loads_no_optional_dependency() -> None:
    optional = (
        "numba torch ml_dtypes safetensors matplotlib rich typer sklearn scipy jax optax pytest"
    )
    loaded = output(
        f"""
        import sys, fallline
        print([name for name in {optional.split()} if name in sys.modules])
        """
    )
    assert loaded == "[]"


def test_versions_agree() -> None:
    declared = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared
    assert fl.__version__ == declared[1]
    assert metadata.version("fallline") == declared[1]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (owner, name)
        for owner in (fl, fl.schedules)
        for name, value in vars(owner).items()
        if inspect.isclass(value) and not name.startswith("_")
    ],
)
def test_public_methods_are_documented(owner: object, name: str) -> None:
    members = inspect.getmembers(getattr(owner, name), inspect.isroutine)
    for member, value in members:
        if not member.startswith("_"):
            assert inspect.getdoc(value), f"{name}.{member}"


@needs_native
def test_the_stub_is_the_extension() -> None:
    from fallline import _core

    def names(nodes: list[ast.stmt]) -> set[str]:
        found = {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        return found | {
            n.target.id
            for n in nodes
            if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
        }

    stub = ast.parse((Path(fl.__file__).parent / "_core.pyi").read_text())
    assert names(stub.body) == {n for n in vars(_core) if not n.startswith("_")}
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            built = {n for n in vars(getattr(_core, node.name)) if not n.startswith("_")}
            assert names(node.body) - {"__init__"} == built


def test_types_are_shipped() -> None:
    assert (Path(fl.__file__).parent / "py.typed").exists()


# ---- what the environment forces -----------------------------------------------------------------

STEP = """
import numpy as np, fallline as fl
x = np.ones(5)
opt = fl.SGD(x, lr=0.5)
opt.step(np.ones(5))
assert (x == 0.5).all()
"""


@pytest.mark.parametrize("backend", fl.backends())
def test_backend_is_forced(backend: str) -> None:
    assert output(STEP + "print(opt.backend)", FALLLINE_BACKEND=backend) == backend


@needs_native
@pytest.mark.parametrize("isa", fl.isas())
def test_isa_is_forced(isa: str) -> None:
    show = "from fallline import _core; print(opt.backend, fl.get_isa(), _core.active_isa())"
    forced = output(STEP + show, FALLLINE_ISA=isa, FALLLINE_BACKEND="native")
    assert forced == f"native {isa} {isa}"


@needs_native
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_number_of_threads_is_forced(threads: int) -> None:
    started = output(
        """
        import os, numpy as np, fallline as fl
        def threads(): return len(os.listdir("/proc/self/task"))
        x, g = np.ones(1_000_000), np.ones(1_000_000)
        opt = fl.SGD(x, backend="native")
        before = threads()
        opt.step(g)
        print(fl.get_num_threads(), 1 + threads() - before)
        """,
        FALLLINE_NUM_THREADS=str(threads),
        OMP_NUM_THREADS="4",
    )
    kept = threads if fl.config.config()["openmp"] else 1  # without OpenMP they end with the step
    assert started == f"{threads} {kept}"


@needs_native
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc")
@pytest.mark.parametrize("imports", ["torch, fallline", "fallline, torch"])
def test_one_openmp_runtime_beside_torch(imports: str) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    mapped = output(
        f"""
        import {imports}
        import numpy as np
        from pathlib import Path
        fallline.set_num_threads(2)
        x = np.ones(1_000_000)
        fallline.SGD(x, lr=0.5, backend="native").step(np.ones(1_000_000))
        assert (x == 0.5).all()
        lines = Path("/proc/self/maps").read_text().splitlines()
        print(*{{line.split()[-1] for line in lines if "libgomp" in line or "libomp" in line}})
        """
    )
    assert len(mapped.split()) == 1


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FALLLINE_BACKEND", "cuda", r"ValueError: FALLLINE_BACKEND='cuda'.*native, numba, numpy"),
        ("FALLLINE_ISA", "avx1024", r"ImportError: FALLLINE_ISA='avx1024' is not usable here: \w"),
        ("FALLLINE_NUM_THREADS", "0", r"ValueError: FALLLINE_NUM_THREADS='0' is not a positive"),
        ("FALLLINE_NUM_THREADS", "two", r"ValueError: FALLLINE_NUM_THREADS='two' is not a pos"),
        ("FALLLINE_NUM_THREADS", "-1", r"ValueError: FALLLINE_NUM_THREADS='-1' is not a pos"),
    ],
)
def test_nonsense_in_the_environment_is_an_error(variable: str, value: str, message: str) -> None:
    done = run(STEP, **{"FALLLINE_BACKEND": "", variable: value})
    assert done.returncode == 1
    assert re.search(message, done.stderr.splitlines()[-1]), done.stderr


def test_empty_variables_force_nothing() -> None:
    names = ("FALLLINE_BACKEND", "FALLLINE_ISA", "FALLLINE_NUM_THREADS")
    default = fl.backends()[0]
    assert output(STEP + "print(opt.backend)", **dict.fromkeys(names, "")) == default


# ---- installing without a compiler ---------------------------------------------------------------

SOURCES = (
    *("CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml"),
    *("cpp", "examples", "python", "src"),
)


@pytest.fixture(scope="module")
def installed_without_compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh install in a folder of its own, by a pip that finds no C++ compiler."""
    if not all((ROOT / name).exists() for name in SOURCES):
        pytest.skip("needs the sources beside the tests")
    if importlib.util.find_spec("pip") is None:
        pytest.skip("needs pip")
    folder = tmp_path_factory.mktemp("no_compiler")
    source, tools, target = folder / "source", folder / "tools", folder / "target"
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    for built in [*source.rglob("_core.*.so"), *source.rglob("_core.*.pyd")]:
        built.unlink()
    # All of PATH but the build tools, which are no compiler, is left out.
    tools.mkdir()
    for tool in ("cmake", "ninja", "make"):
        if (found := shutil.which(tool)) is not None:
            (tools / tool).symlink_to(found)
    hidden = {"PATH": str(tools), "CXX": str(folder / "no-such-compiler")}
    left_out = ("CC", "CXXFLAGS", "PYTHONPATH", "FALLLINE_REQUIRE_CORE")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target)]
    if all(importlib.util.find_spec(m) for m in ("scikit_build_core", "pybind11")):
        command.append("--no-build-isolation")
    env = {k: v for k, v in os.environ.items() if k not in left_out}
    done = subprocess.run(
        [*command, str(source)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**env, **hidden},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.mark.install
def test_installs_and_steps_without_a_compiler(installed_without_compiler: Path) -> None:
    # -S: not through the finder that an editable install puts in front of every path.
    path = os.pathsep.join([str(installed_without_compiler), sysconfig.get_path("purelib")])
    code = """
    import numpy as np, fallline as fl
    print(fl.__file__)
    results = []
    for backend in fl.backends():
        x = np.linspace(-1, 1, 3001, dtype=np.float32)
        opt = fl.AdamW(x, backend=backend)
        for _ in range(3):
            opt.step(x.copy())
        results.append(x.tobytes())
    assert len(set(results)) == 1
    assert fl.SGD(x).backend == fl.backends()[0]
    print(*fl.backends())
    fl.show_config()
    """
    lines = output(code, "-S", PYTHONPATH=path, FALLLINE_BACKEND="", FALLLINE_ISA="").splitlines()
    assert Path(lines[0]).is_relative_to(installed_without_compiler)
    assert lines[1].split() == [b for b in fl.backends() if b != "native"]
    native = next(line for line in lines if line.strip().startswith("native:"))
    assert "no working C++20 compiler was found" in native

    refused = run(
        "import fallline as fl; fl.show_config()", "-S", PYTHONPATH=path, FALLLINE_ISA="avx2"
    )
    assert "FALLLINE_ISA='avx2' is not usable here: the C++ core is missing" in refused.stderr
