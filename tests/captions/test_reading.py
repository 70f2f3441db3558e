"""Token counts are the tokenizer's; pieces, chunks and parts add up; the tag table counts."""

from __future__ import annotations

import time

import pytest

from sdft_ext.captions import frequency, reading
from sdft_ext.model import text as model_text
from sdft_ext.model.borrow import tokenizer

CAPTIONS = (
    "",
    "sks dog",
    "sks dog, a red (round) ball, <b>bold</b> &amp; more, o_o, 1girl",
    "The dog's ball; isn't it?! ... 12345 x86_64",
    "ein Kätzchen, naïve café, 日本語, 😀😀, ﬁne",
    "a,b,,c,\n d ,",
    ", ".join(f"tag number {number}" for number in range(60)),
)


def test_counts_are_those_of_the_tokenizer() -> None:
    counter = reading.Counter()
    wanted = [len(model_text.tokens(tokenizer(), caption)) for caption in CAPTIONS]
    assert counter.counts(CAPTIONS) == wanted == counter.counts(CAPTIONS)


@pytest.mark.parametrize("caption", CAPTIONS)
def test_a_reading_adds_up(caption: str) -> None:
    found = reading.read(caption)
    assert found.count == sum(len(chunk) for chunk in found.chunks) == sum(part.tokens for part in found.parts)
    assert all(len(chunk) <= 75 for chunk in found.chunks) and len(found.chunks) == len(
        model_text.prompt_chunks(tokenizer(), caption)
    )
    assert sum(part.share for part in found.parts) == pytest.approx(1) or not found.parts
    assert bool(found.cut) == (found.count > 75) == bool(found.advice and "chunks" in found.advice[0])


def test_a_word_of_a_hundred_thousand_letters_takes_no_time() -> None:
    started = time.process_time()
    found = reading.read("ab" * 50_000)
    assert found.count > 1_000 and reading.Counter().counts(["ab" * 30_000, "é" * 30_000])[0] > 1_000
    assert time.process_time() - started < 5


def test_parts_and_pieces() -> None:
    found = reading.read("sks dog, a very red ball, tree")
    assert [(part.text, part.tokens) for part in found.parts] == [("sks dog", 3), ("a very red ball", 5), ("tree", 1)]
    assert [piece.text for piece in found.chunks[0]] == ["sks", "dog", ",", "a", "very", "red", "ball", ",", "tree"]
    assert found.strategy == "tags" and "a very red ball" in found.advice[0]
    assert reading.read("sks dog").strategy == "trigger"
    assert reading.read("a photo of a sks dog that sleeps on a sofa").strategy == "sentence"
    long = reading.read(", ".join(f"word{n} and more" for n in range(30)))
    assert long.parts[-1].chunk == len(long.chunks) - 1 and long.cut.endswith("and more")
    assert "30 parts" in " ".join(long.advice)


def test_a_sentence_is_shared_by_its_words() -> None:
    caption = "A photo of my Sks Dog, sleeping on a Sofa"
    found = reading.read(caption, "sks dog")
    assert [word.text for word in found.words] == caption.split()
    assert [word.tokens for word in found.words] == [1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert [word.part for word in found.words] == [0] * 6 + [1] * 4
    assert sum(word.share for word in found.words) == pytest.approx(1)
    assert "“sks dog” has 3 of 11 tokens, 27 % of what a step can change" in found.budget
    assert "up to 3.7 times as many steps" in found.budget and "the other 73 %" in found.budget
    assert "less regularization" in found.budget


@pytest.mark.parametrize("caption", CAPTIONS)
def test_words_add_up_or_are_left_out(caption: str) -> None:
    found = reading.read(caption)
    assert sum(word.tokens for word in found.words) in (0, found.count)
    assert all(caption[word.start :].startswith(word.text) for word in found.words)


def test_the_budget_in_numbers() -> None:
    words = "one two three four five six seven eight nine ten eleven twelve"
    assert "Each of the 12 tokens has 8.3 %" in reading.read(words, "sks").budget
    assert "Each of the 8 tokens has 13 %" in reading.read("one two three four five six seven eight", "sks").budget
    assert "“sks dog” has all of what a step can change" in reading.read("sks dog", "sks  dog").budget
    assert reading.read("", "sks").budget == ""
    twice = reading.read("dogs and sks dog", "sks dog").budget
    assert "2 of 4 tokens, 50 %" in twice and "up to 2 times" in twice


@pytest.mark.parametrize("filler", ["Word", "Word,", "X86_64,"])
def test_cut_text_reads_as_it_was_written(filler: str) -> None:
    caption = " ".join([filler] * 75) + "  The Dog's Ball,  on GRASS"
    found = reading.read(caption)
    first = [piece for chunk in found.chunks for piece in chunk][:75]
    read = "".join(piece.text for piece in first)
    assert found.cut == caption[_place(caption, len(read)) :].strip()
    assert found.cut.endswith("The Dog's Ball,  on GRASS")


def _place(caption: str, letters: int) -> int:
    """Return where so many letters, without spaces, end."""
    return next(i for i in range(len(caption)) if len("".join(caption[:i].split())) == letters)


def test_the_tag_table() -> None:
    counted = frequency.count_tags(
        ["sks dog, tree, Red", "sks dog, tree", "sks dog, red, tree, red", "tree", ""], "sks"
    )
    rows = {row.tag: row for row in counted.tags}
    assert counted.captions == 4 and counted.tags[0].tag == "tree"
    assert (rows["tree"].count, rows["tree"].position, rows["tree"].with_trigger) == (4, (2 + 2 + 3 + 1) / 4, 3)
    assert rows["tree"].fused and not rows["sks dog"].fused and "'tree' is in all 4 captions" in counted.text
    assert "not as part of the concept" in counted.text, "the guide: what a caption names is put down to its words"
    red = next(row for row in counted.tags if row.tag.lower() == "red")
    assert red.count == 2 and {red.tag, *red.variants} == {"Red", "red"}
    assert frequency.count_tags(["a, b", "a"], "a").text == "" and frequency.count_tags([], "").captions == 0


def test_the_words_that_all_captions_begin_with() -> None:
    assert frequency.common_start(["sks dog, tree", "sks dog on grass", "sks dog"]) == "sks dog"
    assert frequency.common_start(["a dog", "a cat"]) == "" and frequency.common_start(["x"]) == ""
