"""docs/transcription.md: its example can be made, and its figures are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from llm_assets.orchestration.transcripts_stage import TURNS_SECONDS, options_of
from llm_assets.transcription.asking import SHORTEST_HALVED_SECONDS
from llm_assets.transcription.judge import FEWEST_WORDS_PER_MINUTE, FEWEST_WORDS_PER_SPEECH_MINUTE
from llm_assets.transcription.room import MOST_BYTES

TEXT = (Path(__file__).parents[2] / "docs" / "transcription.md").read_text(encoding="utf-8")


def test_the_example_is_valid() -> None:
    """The source can be made, and what it says of channels and hints reaches the calls."""
    [example] = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    namespace: dict[str, object] = {}
    exec(example, namespace)
    options = options_of(namespace["source"])  # type: ignore[arg-type]
    assert options.speakers == ("agent", "customer")
    assert (options.language, options.keywords) == ("en", ("Fritzbox", "DHL"))


def test_the_figures_are_right() -> None:
    """What the document says in numbers."""
    assert f"At most {MOST_BYTES / 1e6:.0f} MB of audio" in TEXT
    assert f"down to {SHORTEST_HALVED_SECONDS:.0f} s" in TEXT
    assert f"less than {FEWEST_WORDS_PER_SPEECH_MINUTE:.0f} words a minute of speech" in TEXT
    assert f"less than {FEWEST_WORDS_PER_MINUTE:.0f} a minute of audio" in TEXT
    assert f"chunks of {TURNS_SECONDS:.0f} s" in TEXT
