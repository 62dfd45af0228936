"""Files of a project, else the package's own."""

import pytest

from dataselect.data import project_files
from dataselect.data.project_files import project_file
from tests.helpers import ROOT, mistake


def test_the_working_directory_comes_before_the_package(in_scratch):
    assert project_file("methods.yaml").resolve() == ROOT / "methods.yaml"
    (in_scratch / "methods.yaml").touch()
    assert project_file("methods.yaml").resolve() == in_scratch / "methods.yaml"


def test_an_installed_package_has_files_of_its_own(in_scratch, monkeypatch):
    monkeypatch.setattr(project_files, "HOMES", (in_scratch / "templates", in_scratch / "top"))
    (in_scratch / "templates/eval_kinds").mkdir(parents=True)
    assert project_file("eval_kinds") == in_scratch / "templates/eval_kinds"


@pytest.mark.usefixtures("in_scratch")
def test_an_installation_without_them_says_what_to_do(monkeypatch):
    monkeypatch.setattr(project_files, "HOMES", ())
    message = mistake(project_file, "methods.yaml")
    assert message.startswith("methods.yaml: there is none in ")
    assert "install dataselect again" in message
