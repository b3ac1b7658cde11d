"""Every fenced block of the documentation runs, or says why not: the blocks of a page in order, in one fresh folder."""

import re
from pathlib import Path

import pytest
from page_blocks import Block, blocks_of, is_shown
from page_shell import PageShell

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if path.exists()
]
BLOCKS = {name: blocks_of(path, name) for path in PAGES if (name := str(path.relative_to(ROOT)))}
TRAINS = re.compile(r"\bsweeps(\.| )(run|resume|extend|reproduce|submit|promote)\b|\brun\(")


def pages_to_run() -> list[object]:
    """The pages with a block to run, marked as slow if one of them trains."""
    pages = []
    for name, blocks in BLOCKS.items():
        to_run = [block for block in blocks if block.is_run]
        if to_run:
            trains = any(block.language != "yaml" and TRAINS.search(block.text) for block in to_run)
            pages.append(pytest.param(name, marks=[pytest.mark.slow] if trains else [], id=name))
    return pages


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", pages_to_run())
def test_blocks_run(page: str, tmp_path: Path) -> None:
    folder, home = tmp_path / "page", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    shell = PageShell(folder, home)
    try:
        for block in BLOCKS[page]:
            if block.is_run:
                shell.run(block)
    finally:
        shell.close()


@pytest.mark.parametrize("page", BLOCKS)
def test_every_block_runs_or_says_why_not(page: str) -> None:
    assert [issue for block in BLOCKS[page] for issue in block.issues()] == []


def run_page(tmp_path: Path, text: str) -> None:
    """Run a page of its own."""
    (tmp_path / "page.md").write_text(text)
    folder, home = tmp_path / "page", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    shell = PageShell(folder, home)
    try:
        for block in blocks_of(tmp_path / "page.md", "page.md"):
            assert list(block.issues()) == []
            if block.is_run:
                shell.run(block)
    finally:
        shell.close()


def test_blocks_of_a_page_share_folder_variables_and_names(tmp_path: Path) -> None:
    run_page(
        tmp_path,
        """# Page
<!-- file: package/answer.py -->
```python
ANSWER = 42
```

```bash
export WORD=hello
mkdir below
```

- in a list:

  ```console
  $ echo $WORD \\
      twice
  hello twice
  $ sweeps explain model.noise.level
  model.noise.level...
  ...
  $ cd below
  $ basename $PWD
  below
  ```

```python
from package.answer import ANSWER
```

```python
>>> ANSWER
42
>>> print("a\\nb")
a
b
```

<!-- not run: it would fail -->
```bash
false
```

<!-- exit: 3 -->
```console
$ exit 3
```
""",
    )
    assert (tmp_path / "page" / "below").is_dir()


SWEEP = "name: x\nmodel: {name: shallow, hidden_size: -1}\ndata: {name: digits}\nobjective: {metric: valid/mse}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```bash\nfalse\ntrue\n```\n", "exit status 1, not 0"),
        ("```bash\nno-such-command\n```\n", "exit status 127"),
        ("```console\n$ echo one\ntwo\n```\n", "the output differs"),
        ("```console\n$ echo one; false\none\n```\n", "exit status 1"),
        ("<!-- exit: 2 -->\n```console\n$ true\n```\n", "exit status 0, not 2"),
        ("```python\nraise SystemExit('no')\n```\n", "SystemExit"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected"),
        ("```python\nimport os; os._exit(1)\n```\n", "Python ended"),
        (f"```yaml\n{SWEEP}```\n", "model.hidden_size"),
        (f"<!-- file: x.yaml -->\n```yaml\n{SWEEP}```\n", "model.hidden_size"),
        ("<!-- file: ../x.txt -->\n```text\nx\n```\n", "is not in the folder"),
        ("```yaml\nservices: {}\n```\n", "not a whole sweep file"),
        ("```ruby\nputs 1\n```\n", "no test runs 'ruby'"),
        ("<!-- not run: -->\n```ruby\nputs 1\n```\n", "needs a value"),
        ("<!-- skip: x -->\n```bash\ntrue\n```\n", "unknown mark"),
        ("Text:\n\n    indented\n", "use a fence"),
    ],
)
def test_a_wrong_block_fails(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(message)):
        run_page(tmp_path, text)


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("a", "a", True),
        ("a", "a\nb", False),
        ("a\n...", "a\nb\nc", True),
        ("a\n...", "a", True),
        ("...\nc", "a\nb\nc", True),
        ("a\n...\nc", "a\nc", True),
        ("a ... c", "a b b c", True),
        ("a ... c", "a b\nb c", False),
        ("one long\nline", "one long line", True),
        ("one long\n  line", "one long line", True),
        ("one long line", "one long\nline", False),
        ("ab", "a\nb", False),
        ("a\nb", "ab", False),
        ("0.5", "0x5", False),
    ],
)
def test_output_is_compared_line_by_line(expected: str, output: str, same: bool) -> None:
    assert is_shown(tuple(expected.split("\n")), output) is same


def test_a_block_knows_its_line(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Title\n\n```text\nx\n```\n")
    assert blocks_of(tmp_path / "page.md", "page.md") == [Block("page.md", 3, "text", "x\n", {})]
