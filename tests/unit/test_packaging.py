"""The library as others get it: a wheel with everything in it, used outside of the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TEN_LINES = CHECKOUT / "tests" / "app" / "ten_lines.py"

pytestmark = pytest.mark.xdist_group("packaging")


def run(*command: object, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with ``command`` in a folder, without the environment's own search path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CDK_"))}
    return subprocess.run(  # noqa: S603
        [sys.executable, *map(str, command)],
        cwd=at,
        env={**kept, "PYTHONUTF8": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = run("-m", "hatchling", "build", "-t", "wheel", "-d", folder, at=CHECKOUT)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("ml_lens_constructs-*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    quick = ("--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check")
    done = run("-m", "pip", "install", *quick, "--target", folder, wheel, at=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_source_root_is_no_package_as_it_would_hide_the_one_from_pypi() -> None:
    assert not (CHECKOUT / "constructs" / "__init__.py").exists()


def test_the_wheel_holds_every_function_and_nothing_that_tools_left_behind(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    code = {
        f"ml_lens/_assets/{file.relative_to(CHECKOUT).as_posix()}"
        for file in (CHECKOUT / "lambda").glob("*/*.py")
    }
    assert code
    assert code <= held
    assert "ml_lens/py.typed" in held
    assert "ml_lens/lens/requirements.csv" in held
    assert not [name for name in held if "__pycache__" in name or "_cache/" in name]
    assert not [name for name in held if name.startswith(("tests/", "stacks/", "constructs/"))]


def test_the_wheel_holds_every_job_with_its_models(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    code = {
        f"ml_lens/_assets/{file.relative_to(CHECKOUT).as_posix()}"
        for pattern in ("*/*.py", "*/*.json", "*/models/*/model.json")
        for file in (CHECKOUT / "jobs").glob(pattern)
    }
    assert {"ml_lens/_assets/jobs/churn/features.json", "ml_lens/_assets/jobs/churn/train.py"} <= code
    assert code <= held


def test_functions_and_jobs_are_found_in_the_checkout_and_in_the_wheel(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "find.py").write_text(
        "from ml_lens.assets import function_code, job_code\n"
        "print(function_code('face_attributes'))\nprint(job_code('churn'))\n"
        "try:\n    job_code('chum')\nexcept FileNotFoundError as error:\n    print(error)\n"
    )
    for place, folder in (
        (installed, installed / "ml_lens" / "_assets"),
        (CHECKOUT / "constructs", CHECKOUT),
    ):
        done = run("find.py", at=tmp_path, PYTHONPATH=str(place))
        assert done.returncode == 0, done.stderr
        function, job, refusal = done.stdout.splitlines()
        assert Path(function) == folder / "lambda" / "face_attributes"
        assert Path(job) == folder / "jobs" / "churn"
        assert refusal.startswith("no job 'chum' in")
        assert refusal.endswith("there are: churn")


def test_ten_lines_elsewhere_give_a_template(installed: Path, tmp_path: Path) -> None:
    assert len(TEN_LINES.read_text().splitlines()) <= 10
    (tmp_path / "app.py").write_text(TEN_LINES.read_text() + "import ml_lens\nprint(ml_lens.__file__)\n")
    done = run(
        "app.py",
        at=tmp_path,
        PYTHONPATH=str(installed),
        CDK_OUTDIR=str(tmp_path / "out"),
        CDK_VALIDATION="false",
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed), "the checkout was used and not the wheel"
    assert (tmp_path / "out" / "Visitors.template.json").is_file()
    modules = {path.name for path in (tmp_path / "out").glob("asset.*/*.py")}
    assert {"face_attributes.py", "erase_images.py", "empty_bucket.py"} <= modules


def test_the_library_needs_neither_the_rule_pack_nor_the_tools_of_the_rehearsal(
    installed: Path, tmp_path: Path
) -> None:
    extras = ("cdk_nag", "boto3", "botocore", "duckdb", "sqlglot", "aws_lambda_powertools", "stacks")
    (tmp_path / "bare.py").write_text(
        "import importlib, pkgutil, sys\n"
        f"sys.modules.update(dict.fromkeys({extras!r}))\n"
        "import ml_lens\n"
        "for module in pkgutil.walk_packages(ml_lens.__path__, 'ml_lens.'):\n"
        "    if not module.name.startswith(('ml_lens.rehearsal', 'ml_lens.diagrams', 'ml_lens.rules')):\n"
        "        importlib.import_module(module.name)\n"
        "        print(module.name)\n"
    )
    done = run("bare.py", at=tmp_path, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert {"ml_lens.foundation.functions", "ml_lens.ai_services.face_dashboard"} <= set(done.stdout.split())
