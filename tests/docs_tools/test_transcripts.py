"""Every command of a transcript is run and prints what the page says: python -m docs_tools.numbers --write."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from docs_tools import transcripts
from docs_tools.commands import ROOT
from docs_tools.transcripts import Session, alike, sessions, written_anew

PAGE = """\
# A page

```console
$ echo one; echo two >&2
one
$ cat <<'END'
> a
>
>   b
> END
a

  b
```

<!-- varies -->
```console
$ echo took 1.5 s
took 0.3 s
```
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", transcripts.pages(), ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.skipif(shutil.which("iverilog") is None, reason="a transcript needs Icarus Verilog")
def test_the_commands_of_a_page_print_what_it_says(page: Path, tmp_path: Path) -> None:
    old = page.read_text()
    assert alike(old, written_anew(old, tmp_path)), "python -m docs_tools.numbers --write puts it right"


def test_the_newcomer_has_a_transcript() -> None:
    assert ROOT / "docs" / "getting-started.md" in transcripts.pages()


def test_commands_and_what_they_print_are_told_apart() -> None:
    first, second = sessions(PAGE)
    assert first == Session(
        (("echo one; echo two >&2", "one"), ("cat <<'END'\na\n\n  b\nEND", "a\n\n  b")), varies=False
    )
    assert second == Session((("echo took 1.5 s", "took 0.3 s"),), varies=True)


def test_a_page_is_written_anew_and_only_numbers_of_what_varies_may_differ(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    new = written_anew(PAGE, tmp_path / "one")
    assert new == PAGE.replace("0.3", "1.5")
    assert alike(PAGE, new)
    assert not alike(PAGE, new.replace("took 1.5 s\n```", "took 1.5 ms\n```"))
    assert not alike(PAGE.replace("one\n$", "three\n$"), new)


def test_a_block_with_a_title_is_written_first_and_packages_are_copies(tmp_path: Path) -> None:
    page = '```console\n$ cat siliquant/new.txt\n```\n\n```text title="siliquant/new.txt"\none\n```\n'
    assert "one\n```\n\n```text" in written_anew(page, tmp_path)
    assert not (ROOT / "siliquant" / "new.txt").exists()


def test_a_command_that_fails_and_a_block_without_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^false must succeed, and said:$"):
        written_anew("```console\n$ false\n```", tmp_path)
    with pytest.raises(ValueError, match=r"^a transcript must begin with a command, not with 'text'$"):
        list(sessions("```console\ntext\n```"))
