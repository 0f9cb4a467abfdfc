"""What tests of pages share: a copy of a shipped page."""

import shutil
from pathlib import Path

import pytest

from service.packs import shipped_pages
from tests.unit.packs.spoiling import PAGE


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the shipped page, to be spoiled."""
    return Path(shutil.copytree(shipped_pages() / PAGE, tmp_path / PAGE))
