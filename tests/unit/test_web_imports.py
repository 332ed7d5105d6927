"""What an import left open, on the app's page, until somebody dismisses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.domain.compose.gaps import GapCode, ImportGap
from deployctl.effects.compose.import_files import ImportFiles
from deployctl.paths import Path as HomePath
from deployctl.ports.foreign import Imports
from deployctl.testing.compose.fake_foreign import FakeImports
from tests.unit.web_world import Site, site

GAPS = (ImportGap(GapCode.PORT_UDP, "services.web.ports", "UDP port 53 is not forwarded"),
        ImportGap(GapCode.DOCKER_SOCKET, "services.agent.volumes", "it makes it root", ("[allow.shop]",), blocks=True))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, "v1") as made:
        made.w.imports.keep_gaps("shop", GAPS)
        yield made


def test_gaps_are_on_the_page_what_blocks_first_until_they_are_dismissed(shop: Site) -> None:
    mara = shop.signed_in("mara")
    page = mara.get("/apps/shop").text
    assert page.index("services.agent.volumes") < page.index("services.web.ports")
    assert "To do first:" in page
    assert mara.post("/apps/shop/imported/dismiss").status_code in {302, 303}
    assert "services.agent.volumes" not in mara.get("/apps/shop").text
    assert shop.w.imports.gaps("shop") == ()


@pytest.mark.parametrize("kept", ["files", "fake"])
def test_they_are_kept_as_they_were(kept: str, tmp_path: Path) -> None:
    found: Imports = ImportFiles(HomePath(str(tmp_path))) if kept == "files" else FakeImports()
    assert found.gaps("shop") == ()
    found.keep_gaps("shop", GAPS)
    assert found.gaps("shop") == GAPS
    found.keep_gaps("shop", ())
    assert found.gaps("shop") == ()
