"""The reference of a sweep file's settings, from `sweeps explain`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from generators.markdown import code, table
from sweeps.cli.display.explanation import default_in_words
from sweeps.config.explain import explain, explain_sections
from sweeps.config.search_space import CHOICES, INTERVALS
from sweeps.config.setting import Explanation, Setting

INTRODUCTION = """\
# Settings of a sweep file

Every section of a sweep file and every setting in it. `sweeps explain PATH` prints the same for one setting, and
`sweeps schema` gives an editor what it needs to complete and check a file. [The sweep file](../sweep-file.md) shows how
the sections work together.

- A section with a `name` is of a kind, such as `model: {name: shallow}`. Settings of all kinds come first, then those
  of each kind.
- An example is a line of its section. `sweeps explain PATH` prints it as a line of a file and as an option,
  `--set model.noise.level=0.1`.
- A setting without a default is required, or not set.

"""

RANGES = {
    "choice": "one of the values, of any type, drawn at random",
    "grid": "each of the values in turn; for `algorithm: {name: grid}`",
    "uniform": "a number from the first to the second",
    "loguniform": "a number from the first to the second, uniform in its logarithm",
    "int": "a whole number from the first to the second, both included",
    "logint": "a whole number from the first to the second, uniform in its logarithm",
}


def page() -> str:
    """Return the page."""
    sections = {section.path: explain(section.path) for section in explain_sections()}
    plain = [explanation.meanings[0] for explanation in sections.values() if not has_settings(explanation)]
    text = INTRODUCTION + table(
        ("section or setting", "what it is"),
        ((link(explanation), explanation.meanings[0].description) for explanation in sections.values()),
    )
    text += "## General\n\n" + settings_table("", [setting for setting in plain if setting.path != "search"])
    return text + "".join(
        search(explanation) if path == "search" else section(explanation, 2)
        for path, explanation in sections.items()
        if path == "search" or has_settings(explanation)
    )


def has_settings(explanation: Explanation) -> bool:
    """Whether a path is a section, with settings of its own."""
    return bool(explanation.settings)


def link(explanation: Explanation) -> str:
    """Return a section's name, linked to its heading."""
    is_section = has_settings(explanation) or explanation.path == "search"
    return f"[{code(explanation.path)}](#{explanation.path if is_section else 'general'})"


def section(explanation: Explanation, level: int) -> str:
    """Return a section: its kinds, the settings of all kinds, those of each kind, and the sections in it."""
    path, kinds = explanation.path, explanation.kinds
    heading = f"{'#' * level} {path}\n\n{explanation.meanings[0].description}"
    text = f"{heading} Required.\n\n" if explanation.meanings[0].required else f"{heading}\n\n"
    if kinds:
        rows = ((f"[{code(kind)}](#{path}-{kind})", f"{what}.") for kind, what in kinds.items())
        text += table((code(f"{path}.name"), "what it is"), rows)
    of_all = [setting for setting in explanation.settings if not (kinds and setting.kinds)]
    text += settings_table(path, of_all)
    for kind, what in kinds.items():
        of_kind = [setting for setting in explanation.settings if kind in setting.kinds]
        text += f"{'#' * (level + 1)} {path}: {kind}\n\n{what}.\n\n"
        text += settings_table(path, of_kind) if of_kind else f"It has the settings of every `{path}`.\n\n"
    return text + "".join(section(explain(inner), level + 1) for inner in inner_sections(explanation))


def inner_sections(explanation: Explanation) -> Iterator[str]:
    """Yield the paths of the sections in a section."""
    for path in dict.fromkeys(setting.path for setting in explanation.settings):
        if has_settings(explain(path)):
            yield path


def settings_table(path: str, settings: Sequence[Setting]) -> str:
    """Return a table of settings, named without the path of their section."""
    if not settings:
        return ""
    rows = (
        (name_of(path, setting), what(setting), values(setting), default(setting), code(example(path, setting)))
        for setting in settings
    )
    return table(("setting", "what it does", "values", "default", "example"), rows)


def name_of(path: str, setting: Setting) -> str:
    """Return a setting's name in its section; a section in it is a link."""
    name = code(setting.path.removeprefix(f"{path}."))
    return f"[{name}](#{setting.path.replace('.', '')})" if has_settings(explain(setting.path)) else name


def what(setting: Setting) -> str:
    """Return what a setting does."""
    kinds = f" For {', '.join(map(code, setting.kinds))}." if setting.kinds and "." not in setting.path else ""
    return setting.description + kinds


def values(setting: Setting) -> str:
    """Return the type and the range of a setting."""
    return ", ".join(part for part in (setting.type, setting.range) if part)


def example(path: str, setting: Setting) -> str:
    """Return a line of the section at `path` in which the setting is valid; of a whole file, if others matter too."""
    kind = f"{setting.path.partition('.')[0]}.name"
    beside = {other: value for other, value in setting.beside.items() if other != kind}
    if not all(other.startswith(f"{path}.") for other in beside):
        return setting.in_file()
    inside = {other.removeprefix(f"{path}."): value for other, value in beside.items()}
    return replace(setting, path=setting.path.removeprefix(f"{path}."), beside=inside).in_file()


def default(setting: Setting) -> str:
    """Return the default of a setting; that it is required, if it has none."""
    if setting.required:
        return "required"
    words = default_in_words(setting)
    return "not set" if words == "not set" else code(words or "")


def search(explanation: Explanation) -> str:
    """Return the section of ranges, each at the path of a setting."""
    assert set(RANGES) == {*INTERVALS, *CHOICES}, "each range needs a line here"
    meaning = explanation.meanings[0]
    text = f"## search\n\n{meaning.description} Example: {code(meaning.in_file())}\n\n"
    rows = ((code(kind), code("[LOW, HIGH]" if kind in INTERVALS else "[VALUE, ...]"), RANGES[kind]) for kind in RANGES)
    return text + table(("range", "values", "what it takes"), rows)
