"""Write the pages of docs/reference/ from the code: `python docs/generate.py`; with --check, only compare them."""

import difflib
import sys
from pathlib import Path

from generators import commands, metrics, python_api, settings

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py: change the code, then run it again. -->\n\n"
PAGES = {
    "settings.md": settings.page,
    "commands.md": commands.page,
    "metrics.md": metrics.page,
    "python.md": python_api.page,
}


def main() -> int:
    """Write the pages, or print how those in the folder differ; return 1 if they do."""
    differences = ""
    for name, page in PAGES.items():
        path, text = REFERENCE / name, NOTE + page()
        if "--check" in sys.argv[1:]:
            found = path.read_text() if path.exists() else ""
            lines = difflib.unified_diff(found.splitlines(True), text.splitlines(True), str(path), "generated", n=1)
            differences += "".join(lines)
        else:
            REFERENCE.mkdir(exist_ok=True)
            path.write_text(text)
    print(differences + "Run python docs/generate.py" if differences else "The reference is up to date.")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
