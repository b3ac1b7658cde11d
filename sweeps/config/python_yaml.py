"""PyYAML's scanner in Python, for an installation of PyYAML without libyaml."""

from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner


class PythonScanner(Reader, Scanner, Parser):
    """Yields the events of a YAML text, as `yaml._yaml.CParser` does."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
