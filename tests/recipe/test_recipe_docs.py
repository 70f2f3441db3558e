from pathlib import Path

from sdft_ext.recipe import Recipe
from sdft_ext.recipe.docs import help_text, markdown
from sdft_ext.recipe.rules import fields

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run: python -m sdft_ext recipe --docs > docs/recipe.md"


def test_every_setting_is_in_the_page_and_in_the_help():
    page, text = markdown(), help_text()
    for setting in fields(Recipe):
        assert f"`{setting.path.rpartition('.')[2]}`" in page and setting.help.replace("|", "\\|") in page
        assert f"  {setting.path}=" in text
