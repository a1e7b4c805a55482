"""The kit for Java, its example, and the guide for ZStack's SDK pass with the imagestore-sim that is installed here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import indent
from xml.etree import ElementTree

import pytest

from client_programs import TESTCONTAINERS
from code_blocks import code_blocks

pytestmark = pytest.mark.clients
ROOT = Path(__file__).parents[2]
KIT = ROOT / "clients" / "java"
GUIDE = ROOT / "docs" / "guides" / "java-sdk.md"
COMMAND = str(Path(sys.executable).with_name("imagestore-sim"))
SDK_VARIABLE = "ZSTACK_SDK_JAR"
"""Names the jar of ZStack's own SDK, which no package index has; the example's classes stand in for it otherwise."""
SECONDS = 600
OLDEST = 17
NO_REGISTRY = ("Could not transfer", "Unknown host", "Could not find artifact", "Could not resolve")
JUNIT_6 = "6.1.3"
LIBRARIES = (
    "com.squareup.okhttp3:okhttp:4.9.3",
    "com.google.code.gson:gson:2.8.9",
    "commons-beanutils:commons-beanutils:1.9.4",
    "commons-codec:commons-codec:1.9",
)
"""What the SDK 5.2.0 needs (its pom.xml)."""


def maven(*arguments: str, folder: Path, **more: str) -> str:
    """Run Maven there with the command of this environment; return what it prints, and fail with it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMAGESTORE_LAB_")}
    done = subprocess.run(
        [shutil.which("mvn") or "mvn", "--batch-mode", "--no-transfer-progress", *arguments],
        cwd=folder,
        env={**environment, "IMAGESTORE_SIM_COMMAND": COMMAND, **more},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    output = done.stdout + done.stderr
    if done.returncode and any(one in output for one in NO_REGISTRY):
        pytest.skip("needs Maven's plugins and the libraries of clients/java/pom.xml from a package index")
    assert done.returncode == 0, output
    return output


@pytest.fixture(scope="module", autouse=True)
def toolchain() -> None:
    """Skip without Maven, or with an older Java."""
    reason = f"needs Maven (mvn) with Java {OLDEST} or newer"
    if shutil.which("mvn") is None:
        pytest.skip(reason)
    version = re.search(r"Java version: (\d+)", maven("--version", folder=ROOT))
    if version is None or int(version[1]) < OLDEST:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which one run of Maven builds the kit, its example, and the guide's project."""
    folder = tmp_path_factory.mktemp("java")
    shutil.copytree(KIT, folder / "kit", ignore=shutil.ignore_patterns("target"))
    _write_stand_in(folder / "sdk", folder / "kit" / "example" / "src" / "main" / "java" / "example" / "zstack")
    _write_files(folder / "guide", GUIDE)
    _write_files(folder / "first", KIT / "README.md")
    _write_pom(folder, modules=("kit", "kit/example", "sdk", "guide", "first"))
    return folder


def _write_pom(
    folder: Path, modules: tuple[str, ...] = (), name: str = "all:all:1", needs: tuple[str, ...] = ()
) -> None:
    group, artifact, version = name.split(":")
    packaging = "<packaging>pom</packaging>" if modules else ""
    listed = "".join(f"<module>{module}</module>" for module in modules)
    needed = "".join(f"<dependency>{_coordinates(*one.split(':'))}</dependency>" for one in needs)
    (folder / "pom.xml").write_text(
        f"<project><modelVersion>4.0.0</modelVersion>{_coordinates(group, artifact, version)}{packaging}"
        f"<properties><maven.compiler.release>17</maven.compiler.release></properties>"
        f"<modules>{listed}</modules><dependencies>{needed}</dependencies><build><plugins><plugin>"
        "<artifactId>maven-compiler-plugin</artifactId><version>3.16.0</version></plugin></plugins></build></project>"
    )


def _coordinates(group: str, artifact: str, version: str) -> str:
    return f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"


def _write_stand_in(folder: Path, sources: Path) -> None:
    """Write the example's classes as `org.zstack:sdk`: they have the names, fields and calls of the SDK's."""
    package = folder / "src" / "main" / "java" / "org" / "zstack" / "sdk"
    package.mkdir(parents=True)
    for source in sources.glob("*.java"):
        (package / source.name).write_text(source.read_text().replace("example.zstack", "org.zstack.sdk"))
    _write_pom(folder, name="org.zstack:sdk:5.2.0", needs=LIBRARIES)


def _write_files(folder: Path, page: Path) -> None:
    """Write the `pom.xml` and the test that a page tells to write."""
    files = re.findall(
        r"`(pom\.xml|src/test/java/\w+\.java)`.*?\n```(?:xml|java)\n(.*?)```", page.read_text(), re.DOTALL
    )
    assert [name.rpartition(".")[2] for name, _ in files] == ["xml", "java"]
    for name, text in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.replace(">mine<", f">{folder.name}<"))


def passed(folder: Path) -> dict[str, int]:
    """Return how many tests of each class passed, by Surefire's reports."""
    suites = [ElementTree.parse(path).getroot() for path in folder.glob("target/surefire-reports/TEST-*.xml")]
    missed = ("failures", "errors", "skipped")
    return {
        suite.attrib["name"].rpartition(".")[2]: int(suite.attrib["tests"])
        - sum(int(suite.attrib[one]) for one in missed)
        for suite in suites
    }


@pytest.fixture(scope="module")
def tested(project: Path) -> Path:
    """Run all tests of Maven but those in containers."""
    maven("test", folder=project, LAB_IMAGE="")
    return project


def test_the_java_kit_passes_its_own_tests(tested: Path) -> None:
    assert passed(tested / "kit") == {"CarriedTimeTest": 5, "LabExtensionTest": 4, "LabProcessTest": 7, "LabTest": 11}


def test_the_example_passes(tested: Path) -> None:
    assert passed(tested / "kit" / "example") == {"ContainerTest": 0, "StorageWatchTest": 3}


def test_the_first_test_of_the_readme_passes(tested: Path) -> None:
    assert passed(tested / "first") == {"MyClientTest": 1}


def test_the_guide_for_the_sdk_passes_with_classes_like_those_of_the_sdk(tested: Path) -> None:
    assert passed(tested / "guide") == {"SdkTest": 4}


def test_the_guide_and_the_example_pass_with_zstacks_own_sdk(tmp_path: Path) -> None:
    jar = os.environ.get(SDK_VARIABLE)
    if not jar:
        pytest.skip(f"needs the jar of ZStack's Java SDK, named by {SDK_VARIABLE}")
    shutil.copytree(KIT, tmp_path / "kit", ignore=shutil.ignore_patterns("target"))
    with zipfile.ZipFile(jar) as archive:
        archive.extractall(tmp_path / "sdk" / "src" / "main" / "resources")
    _write_pom(tmp_path / "sdk", name="org.zstack:sdk:5.2.0", needs=LIBRARIES)
    _write_files(tmp_path / "guide", GUIDE)
    for source in (tmp_path / "kit" / "example" / "src").rglob("StorageWatch*.java"):
        copied = tmp_path / "guide" / "src" / "test" / "java" / "example" / source.name
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(source.read_text().replace("example.zstack", "org.zstack.sdk"))
    _write_pom(tmp_path, modules=("kit", "sdk", "guide"))
    maven("test", "-Dtest=SdkTest,StorageWatchTest", "-Dsurefire.failIfNoSpecifiedTests=false", folder=tmp_path)
    assert passed(tmp_path / "guide") == {"SdkTest": 4, "StorageWatchTest": 3}


def test_the_extension_works_with_junit_6(tested: Path) -> None:
    newer = (f"-Djunit.version={JUNIT_6}", f"-Djunit.platform.version={JUNIT_6}")
    maven("test", *newer, "-Dtest=LabExtensionTest", folder=tested / "kit")
    assert passed(tested / "kit")["LabExtensionTest"] == 4


def test_the_guide_to_testcontainers_shows_the_example() -> None:
    [block] = code_blocks((ROOT / "docs" / "guides" / "testcontainers.md").read_text(), "java")
    example = (KIT / "example" / "src" / "test" / "java" / "example" / "ContainerTest.java").read_text()
    assert indent(block, "    ") in example


def test_the_example_passes_with_testcontainers(tested: Path, lab_image: str) -> None:
    """The example stops what it starts."""
    only = (
        "-Dtest=ContainerTest",
        "-Dsurefire.failIfNoSpecifiedTests=false",
        "--projects",
        "kit/example",
        "--also-make",
    )
    maven("test", *only, folder=tested, LAB_IMAGE=lab_image, **TESTCONTAINERS)
    assert passed(tested / "kit" / "example")["ContainerTest"] == 2
