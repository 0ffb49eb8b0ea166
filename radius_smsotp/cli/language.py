"""``smsotp language``: the texts in other languages."""

from __future__ import annotations

import textwrap

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.model.identity import choose_language
from radius_smsotp.settings import languages


@click.group()
def language() -> None:
    """
    Languages: in which there are texts for users.

    \b
    Examples:
      smsotp language list
      smsotp language show de
      smsotp user set alice --language de
    """


@language.command("list", short_help="List the languages that there are.")
@output.json_option
@pass_site
def list_languages(site: Site, as_json: bool) -> None:
    """
    List the languages: those that come along, and those of the settings.

    \b
    Example:
      smsotp language list
    """
    with site.store.read() as tx:
        loaded = site.loaded
        wanted = (one.language for one, _ in tx.accounts())
        spoken = [choose_language(tag, loaded.languages) for tag in wanted if tag]
    shipped, own = languages.FILES, loaded.values.languages
    found = [
        {
            "language": tag,
            "shipped": tag in shipped,
            "settings": tag in own,
            "default": tag == loaded.values.language,
            "accounts": spoken.count(tag),
        }
        for tag in sorted(loaded.languages)
    ]
    columns = {
        "Language": "language",
        "Texts": lambda one: " and ".join(at for at in ("shipped", "settings") if one[at]),
        "Accounts": "accounts",
        "Default": lambda one: "yes" if one["default"] else "",
    }
    output.listing(found, columns, for_programs=as_json, numbers=["Accounts"])


@language.command(short_help="Print the texts of a language.")
@click.argument("name")
def show(name: str) -> None:
    """
    Print the texts that come along in a language, to change them under `languages:`.

    Only those that you change need to stand there.

    \b
    Example:
      smsotp language show de
    """
    if name not in languages.FILES:
        fault = f"no texts come along in '{name}'; there are {', '.join(languages.FILES)}"
        raise click.BadParameter(fault, param_hint="NAME")
    text = languages.FILES[name].read_text(encoding="utf-8")
    click.echo(f"  {name}:\n{textwrap.indent(text, '    ')}", nl=False)
