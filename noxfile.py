"""Every chore: ``nox -s tests lint types core docs bench``."""

from __future__ import annotations

import glob

import nox

nox.options.sessions = ["tests", "lint", "types", "core"]
nox.options.default_venv_backend = "venv"

PYTHON_FILES = ["."]


def cpp_files() -> list[str]:
    return [
        f for end in ("hpp", "cpp", "def") for f in glob.glob(f"[cs]*/**/*.{end}", recursive=True)
    ]


def install(session: nox.Session, *packages: str) -> None:
    """Install unless the caller's environment is used as it is (``--no-venv``)."""
    if session.virtualenv.venv_backend != "none":
        session.install(*packages)


@nox.session
def tests(session: nox.Session) -> None:
    """The whole matrix."""
    install(session, ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style of Python and C++."""
    install(session, ".[dev]")
    session.run("ruff", "check", *PYTHON_FILES)
    session.run("ruff", "format", "--check", *PYTHON_FILES)
    session.run("clang-format", "--dry-run", "-Werror", *cpp_files())


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of everything public."""
    install(session, ".[dev]")
    session.run("mypy")


@nox.session
def core(session: nox.Session) -> None:
    """The core's own tests under the address and undefined-behaviour sanitizers."""
    install(session, "cmake", "ninja")
    for preset in ("asan", "ubsan"):
        session.run("cmake", "--preset", preset)
        session.run("cmake", "--build", "--preset", preset)
        session.run("ctest", "--preset", preset)


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
