"""Prompts are encoded as in the WebUI."""

import pytest
import torch

from sdft_ext.errors import ModelError
from sdft_ext.model import borrow, text
from tests.model import ldm


@pytest.fixture(scope="module")
def sd1():
    family = ldm.family("sd1")
    return borrow.build(family, ldm.state_dict(family))


def test_vocabulary_is_clips(sd1):
    assert text.tokens(sd1.tokenizers[0], "a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert text.tokens(sd1.tokenizers[0], ",") == [text.COMMA]
    assert text.tokens(sd1.tokenizers[0], "A photo of a CAT") == [320, 1125, 539, 320, 2368]


def test_chunks_have_75_tokens_and_end_at_a_comma_nearby():
    assert text.chunks([]) == [[]]
    assert [len(c) for c in text.chunks(list(range(1000, 1160)))] == [75, 75, 10]
    ids = [1000] * 60 + [text.COMMA] + [1001] * 30
    assert [len(c) for c in text.chunks(ids)] == [61, 30]
    far = [1000] * 40 + [text.COMMA] + [1001] * 50
    assert [len(c) for c in text.chunks(far)] == [75, 16]
    assert [c for chunk in text.chunks(ids) for c in chunk] == ids


def test_a_full_chunk_ends_and_pads_right():
    row = text.padded([5] * 75, 0)
    assert len(row) == 77 and row[0] == text.START and row[-1] == text.END
    assert text.padded([5], 0)[:4] == [text.START, 5, text.END, 0]


def test_long_prompts_take_more_chunks_and_short_ones_are_padded(sd1):
    with torch.no_grad():
        both = text.encode(sd1, ["cat " * 100, "dog"])
        alone = text.encode(sd1, ["dog"])
        empty = text.encode(sd1, [""])
    assert both.context.shape == (2, 154, 64) and alone.context.shape == (1, 77, 64)
    assert torch.allclose(both.context[1, :77], alone.context[0], atol=1e-6)
    assert torch.allclose(both.context[1, 77:], empty.context[0], atol=1e-6)


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_clip_skip_counts_layers_from_the_end(name):
    family = ldm.family(name)
    model = borrow.build(family, ldm.state_dict(family))
    encoder = model.text_encoders[0]
    ids = torch.tensor([text.padded(text.tokens(model.tokenizers[0], "a cat"), 0 if name == "sd2" else text.END)])
    width = family.text[0]["hidden_size"]
    with torch.no_grad():
        hidden = encoder.text_model(input_ids=ids, output_hidden_states=True).hidden_states
        norm = encoder.text_model.final_layer_norm if name != "sdxl" else torch.nn.Identity()
        own = family.text_layer[0]
        for skip, layer in ((1, own), (2, 2)):
            expected = norm(hidden[-layer])
            assert torch.allclose(text.encode(model, ["a cat"], skip).context[..., :width], expected, atol=1e-5)


def test_gradients_reach_the_text_encoder_and_equal_prompts_are_encoded_once(sd1):
    calls = []
    hook = sd1.text_encoders[0].register_forward_pre_hook(lambda m, a: calls.append(1))
    inner = sd1.text_encoders[0].text_model.register_forward_pre_hook(
        lambda m, a, k: calls.append(len(k["input_ids"])), with_kwargs=True
    )
    weight = sd1.text_encoders[0].text_model.encoder.layers[0].mlp.fc1.weight.requires_grad_(True)
    text.encode(sd1, ["a cat", "a dog", "a cat"]).context.sum().backward()
    hook.remove(), inner.remove()
    assert calls == [2] and weight.grad is not None and weight.grad.abs().sum() > 0
    weight.requires_grad_(False)


def test_sdxl_pools_the_end_token():
    family = ldm.family("sdxl")
    model = borrow.build(family, ldm.state_dict(family))
    encoder = model.text_encoders[1]
    with torch.no_grad():
        ids = torch.tensor([text.padded(text.tokens(model.tokenizers[1], "a cat"), 0)])
        last = encoder.text_model(input_ids=ids).last_hidden_state
        expected = encoder.text_projection(last[:, 3])
        assert torch.allclose(text.encode(model, ["a cat"]).pooled, expected, atol=1e-5)


def test_captions_are_tokenized_like_clip_with_and_without_ftfy(sd1):
    # Ids of open_clip's tokenizer; transformers without ftfy splits at signs and drops accents.
    expected = {
        "a dog's bowl": [320, 1929, 568, 3814],
        "café": [15304],
        "a photo, 8k...": [320, 1125, 267, 279, 330, 678],
        "e\u0301": text.tokens(sd1.tokenizers[0], "é"),
        "“quoted” ‘it’s’": text.tokens(sd1.tokenizers[0], "\"quoted\" 'it's'"),
        "ﬁne ＡＢ": text.tokens(sd1.tokenizers[0], "fine ab"),
        "x &amp; y": text.tokens(sd1.tokenizers[0], "x & y"),
    }
    for caption, ids in expected.items():
        assert text.tokens(sd1.tokenizers[0], caption) == ids, caption
    assert len(text.tokens(sd1.tokenizers[0], "é")) == 1 != text.tokens(sd1.tokenizers[0], "e")


def test_clip_skip_past_the_layers_is_refused(sd1):
    with pytest.raises(ModelError, match=r"clip_skip is 3, more than the 2 layers"):
        text.encode(sd1, ["a"], 3)


def test_a_least_number_of_chunks_can_be_set(sd1):
    with torch.no_grad():
        assert text.encode(sd1, ["a"], least_chunks=3).context.shape == (1, 231, 64)
    assert text.chunk_count(sd1, "cat " * 76) == 2 and text.chunk_count(sd1, "") == 1
