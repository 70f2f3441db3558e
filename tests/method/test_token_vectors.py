"""Textual inversion and pivotal tuning: new vectors and nothing else, in files that others read."""

import copy
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sdft_ext.errors import ModelError
from sdft_ext.formats import embedding
from sdft_ext.formats.embedding import EmbeddingFileError
from sdft_ext.method import METHODS
from sdft_ext.method.base import MethodError
from sdft_ext.method.token_vectors import words_of
from sdft_ext.model import borrow, text
from sdft_ext.model.base import Model
from sdft_ext.model.trained_tokens import TrainedTokens, base_table
from sdft_ext.recipe import Concept, Recipe
from tests.model import ldm

PROMPT = "a photo of a sks, on grass"


def recipe(method: str = "textual_inversion", vectors: int = 2, **words: str) -> Recipe:
    made = Recipe()
    made.dataset.concepts = [Concept(trigger="sks", class_word="red cat")]
    made.method.name = method
    made.method.embedding.vectors, made.method.embedding.words = vectors, words
    made.method.lora.rank, made.method.lora.layers = 2, "attention"
    return made


def build(name: str) -> Model:
    family = ldm.family(name)
    return borrow.build(family, ldm.state_dict(family))


@pytest.fixture(scope="module", params=["sd1", "sd2", "sdxl"])
def model(request):
    return build(request.param)


def encoded(model: Model, prompt: str = PROMPT) -> torch.Tensor:
    with torch.no_grad():
        found = text.encode(model, [prompt])
    return found.context if found.pooled is None else torch.cat([found.context.flatten(), found.pooled.flatten()])


def shaken(method) -> None:
    """As after training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for group in method.groups():
            for value in group.parameters:
                value.add_(torch.randn(value.shape, generator=generator))


@pytest.mark.parametrize("vectors", [1, 2, 5])
def test_a_word_is_initialized_from_the_given_words(model, vectors):
    method = METHODS["textual_inversion"]()
    method.attach(model, recipe(vectors=vectors))
    ids = text.tokens(borrow.tokenizer(), "red cat")[:vectors]
    for number, encoder in enumerate(model.text_encoders):
        value = method.state()[f"word sks.{number}"]
        wanted = [ids[i * len(ids) // vectors] for i in range(vectors)]
        assert torch.equal(value, base_table(encoder)[wanted].float())
    if vectors == 2:
        assert torch.equal(encoded(model), encoded(model, "a photo of a red cat, on grass"))
    method.detach()


def test_only_the_vectors_train(model):
    """With a gradient through the whole text encoder, every weight and every other word stays bit for bit what it
    was.
    """
    before = {id(p): p.detach().clone() for part in model.modules for p in part.parameters()}
    tables = [encoder.text_model.embeddings.token_embedding for encoder in model.text_encoders]
    other = encoded(model, "a photo of a dog")
    method = METHODS["textual_inversion"]()
    method.attach(model, recipe())
    parameters = [p for group in method.groups() for p in group.parameters]
    assert len(parameters) == len(model.text_encoders) and all(group.of_text_encoder for group in method.groups())
    optimizer = torch.optim.AdamW(parameters, lr=0.1)
    kept = {name: value.clone() for name, value in method.state().items()}
    found = text.encode(model, [PROMPT])
    (found.context.square().sum() + (0 if found.pooled is None else found.pooled.square().sum())).backward()
    optimizer.step()
    assert all((value != kept[name]).all() for name, value in method.state().items())
    trained = {id(p) for p in parameters}
    held = [p for part in model.modules for p in part.parameters() if id(p) not in trained]
    assert all(p.grad is None and not p.requires_grad and torch.equal(p, before[id(p)]) for p in held)
    assert torch.equal(encoded(model, "a photo of a dog"), other)
    method.detach()
    assert [encoder.text_model.embeddings.token_embedding for encoder in model.text_encoders] == tables
    assert {id(p) for part in model.modules for p in part.parameters()} == before.keys()


def test_models_that_share_their_tokenizers_stay_apart(model):
    from sdft_ext.model.share import share

    other, plain = share(model), encoded(model)
    method = METHODS["textual_inversion"]()
    method.attach(other, recipe())
    shaken(method)
    assert torch.equal(encoded(model), plain) and not torch.equal(encoded(other), plain)
    method.detach()
    assert torch.equal(encoded(other), plain)


@pytest.mark.parametrize("name", ["textual_inversion", "pivotal"])
def test_the_file_says_the_same_as_memory(model, name, tmp_path):
    method, path, plain = METHODS[name](), tmp_path / "mine.safetensors", encoded(model)
    method.attach(model, recipe(name))
    shaken(method)
    expected = encoded(model)
    method.save(path, {"ss_output_name": "mine"}, "fp32")
    method.detach()
    assert torch.equal(encoded(model), plain)
    with METHODS[name]().applied(path, model):
        assert torch.allclose(encoded(model), expected, atol=1e-5)
    assert torch.equal(encoded(model), plain)
    with METHODS[name]().applied(path, model, 0.5):
        assert not torch.allclose(encoded(model), expected, atol=1e-3)


def test_the_layout_of_the_file(model, tmp_path):
    method = METHODS["textual_inversion"]()
    method.attach(model, recipe(vectors=3))
    method.save(tmp_path / "a.safetensors", {}, "fp16")
    method.detach()
    found = load_file(tmp_path / "a.safetensors")
    widths = [encoder.config.hidden_size for encoder in model.text_encoders]
    names = ["emb_params"] if len(widths) == 1 else ["clip_l", "clip_g"]
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        name: (3, width) for name, width in zip(names, widths, strict=True)
    }
    assert all(value.dtype == torch.float16 for value in found.values())


def test_several_words_are_several_files(model, tmp_path):
    method, path = METHODS["textual_inversion"](), tmp_path / "mine-000010.safetensors"
    method.attach(model, recipe(sks="cat", zwx="dog", **{"a/b c": ""}))
    shaken(method)
    prompts = ["a sks and a zwx", "a/b c"]
    expected = [encoded(model, prompt) for prompt in prompts]
    method.save(path, {}, "fp32")
    further = method.save_extra(path, tmp_path, {}, "fp32")
    method.detach()
    assert [file.name for file in further] == ["mine-000010-zwx.safetensors", "mine-000010-ab c.safetensors"]
    with METHODS["textual_inversion"]().applied(path, model):
        for prompt, wanted in zip(prompts, expected, strict=True):
            assert torch.allclose(encoded(model, prompt), wanted, atol=1e-5)
    with METHODS["textual_inversion"]().applied(further[0], model):
        assert not torch.allclose(encoded(model, "a sks and a zwx"), expected[0], atol=1e-3)


def test_a_pivotal_file_is_a_lora_with_words_and_the_words_alone(model, tmp_path):
    method, path, folder = METHODS["pivotal"](), tmp_path / "mine.safetensors", tmp_path / "embeddings"
    method.attach(model, recipe("pivotal"))
    assert {group.name for group in method.groups()} == {"unet", "text_encoder", "text_encoder_words"}
    shaken(method)
    method.save(path, {}, "fp32")
    (further,) = method.save_extra(path, folder, {}, "fp32")
    words = {f"bundle_emb.sks.{name}": value for name, value in load_file(further).items()}
    whole = load_file(path)
    assert further == folder / "mine-sks.safetensors"
    assert all(torch.equal(whole[name], value) for name, value in words.items())
    assert all(key.startswith("lora_") for key in whole.keys() - words.keys())
    with safe_open(path, "pt") as file:
        written = file.metadata()
    assert written["ss_network_module"] == "networks.lora" and json.loads(written["ss_network_args"]) == {}
    trained, plain = encoded(model), encoded(build(model.family.name))
    with method.without():
        assert torch.equal(encoded(model), plain)
    assert torch.equal(encoded(model), trained) and not torch.equal(trained, plain)
    method.detach()


def test_words_that_a_resumed_run_leaves_out_are_named(model, tmp_path):
    """A file with two words: a run that names one of them, or trains no words, says which it leaves out."""
    path, first = tmp_path / "two.safetensors", METHODS["pivotal"]()
    first.attach(model, recipe("pivotal", sks="cat", zwx="dog"))
    first.save(path, {}, "fp32")
    first.detach()
    for name, words, left in (("pivotal", {"sks": "cat"}, ["zwx"]), ("lora", {}, ["sks", "zwx"])):
        made, method = recipe(name, **words), METHODS[name]()
        made.method.lora.continue_from = str(path)
        method.attach(model, made)
        said = " ".join(method.notes)
        method.detach()
        assert f"two.safetensors also holds the new words {', '.join(left)}" in said or (
            len(left) == 1 and f"two.safetensors also holds the new word {left[0]}" in said
        )
    made = recipe("pivotal", sks="cat", zwx="dog")
    made.method.lora.continue_from = str(path)
    whole = METHODS["pivotal"]()
    whole.attach(model, made)
    assert not any("also holds" in note for note in whole.notes)
    whole.detach()


def test_the_norm_is_pulled_towards_that_of_words(model):
    made = recipe()
    made.method.embedding.norm_pull = 1.0
    method = METHODS["textual_inversion"]()
    method.attach(model, made)
    shaken(method)
    directions = {name: value / value.norm(dim=1, keepdim=True) for name, value in method.state().items()}
    method.after_step()
    for number, encoder in enumerate(model.text_encoders):
        value = method.state()[f"word sks.{number}"]
        wanted = base_table(encoder).norm(dim=1).median()
        assert torch.allclose(value.norm(dim=1), wanted.expand(2), rtol=1e-3)
        assert torch.allclose(value / value.norm(dim=1, keepdim=True), directions[f"word sks.{number}"], atol=1e-5)
    method.detach()


def test_a_word_stays_in_one_piece(model):
    """74 tokens and a word of two: it goes into the next chunk whole, as in the WebUI."""
    width = model.text_encoders[0].config.hidden_size
    vectors = [torch.zeros(2, encoder.config.hidden_size) for encoder in model.text_encoders]
    words = TrainedTokens(model, {"sks": vectors})
    try:
        found = text.prompt_chunks(model.tokenizers[0], "cat " * 74 + "sks cat")
        assert width and [len(chunk) for chunk in found] == [74, 3] and found[1][:2] == [49408, 49409]
        assert text.chunk_count(model, "cat " * 73 + "sks") == 1
        assert [len(chunk) for chunk in text.prompt_chunks(model.tokenizers[0], "SKS sks")] == [4]
    finally:
        words.remove()


def test_impossible_words(model):
    for made, says in ((recipe(**{"  ": "cat"}), None), (recipe(sks="", SKS=""), "same tokens")):
        method = METHODS["textual_inversion"]()
        if says is None:
            method.attach(model, made)  # a blank name is none: the trigger is trained
            method.detach()
            continue
        with pytest.raises(ModelError, match=says):
            method.attach(model, made)
    nothing = recipe()
    nothing.dataset.concepts[0].trigger = ""
    with pytest.raises(MethodError, match="no word to train"):
        words_of(nothing)
    for one, other in (("<cat>", "cat"), ("Cat!", "<cat>"), ("<>", "word")):
        with pytest.raises(MethodError, match="same file name"):
            words_of(recipe(**{one: "", other: ""}))
    with pytest.raises(MethodError, match="has a dot"):
        METHODS["pivotal"]().attach(model, recipe("pivotal", **{"v1.5": ""}))
    assert model.tokenizers[0] is borrow.tokenizer()


def test_files_of_other_kinds_are_refused_in_a_sentence(tmp_path):
    one, two = build("sd1"), build("sdxl")
    for model, name in ((one, "one"), (two, "two")):
        method = METHODS["textual_inversion"]()
        method.attach(model, recipe())
        method.save(tmp_path / f"{name}.safetensors", {}, "fp32")
        method.detach()
    with pytest.raises(EmbeddingFileError, match="not an embedding for SDXL"):
        embedding.read(tmp_path / "one.safetensors", 2)
    with pytest.raises(EmbeddingFileError, match="for this kind of model"):
        embedding.read(tmp_path / "two.safetensors", 1)
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(EmbeddingFileError, match=r"bad\.pt can't be read"):
        embedding.read(tmp_path / "bad.pt", 1)
    with pytest.raises(EmbeddingFileError, match="doesn't exist"):
        embedding.read(tmp_path / "none.pt", 1)
    vectors = torch.randn(2, 64)
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "old"}, tmp_path / "old.pt")
    assert torch.equal(embedding.read(tmp_path / "old.pt", 1)[0], vectors)


def test_the_first_embeddings_are_read(tmp_path):
    """As rinongal's textual_inversion wrote them: the vectors lie in a torch.nn.ParameterDict."""
    vectors, path = torch.randn(2, 64), tmp_path / "first.pt"
    held = torch.nn.ParameterDict({"*": torch.nn.Parameter(vectors)})
    torch.save({"string_to_token": {"*": torch.tensor(265)}, "string_to_param": held}, path)
    (read,) = embedding.read(path, 1)
    assert torch.equal(read, vectors)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_diffusers_reads_the_file_and_says_the_same(name, tmp_path):
    """Its own ``load_textual_inversion``, as its documentation has it for both kinds of model."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

    model, plain = build(name), build(name)
    method, path = METHODS["textual_inversion"](), tmp_path / "sks.safetensors"
    method.attach(model, recipe(vectors=2))
    shaken(method)
    expected = encoded(model)
    method.save(path, {}, "fp32")
    method.detach()
    plain.tokenizers = [copy.deepcopy(tokenizer) for tokenizer in plain.tokenizers]
    parts = {"unet": plain.unet, "vae": plain.vae, "scheduler": DDIMScheduler()}
    parts |= {"text_encoder": plain.text_encoders[0], "tokenizer": plain.tokenizers[0]}
    if name == "sdxl":
        pipeline = StableDiffusionXLPipeline(
            **parts, text_encoder_2=plain.text_encoders[1], tokenizer_2=plain.tokenizers[1]
        )
        held = load_file(path)
        for tensor, encoder, tokenizer in zip(("clip_l", "clip_g"), plain.text_encoders, plain.tokenizers, strict=True):
            pipeline.load_textual_inversion(held[tensor], token="sks", text_encoder=encoder, tokenizer=tokenizer)
    else:
        pipeline = StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
        pipeline.load_textual_inversion(str(path.parent), weight_name=path.name, token="sks")
    prompt = pipeline.maybe_convert_prompt(PROMPT, plain.tokenizers[0])
    assert prompt == "a photo of a sks sks_1, on grass"
    assert torch.allclose(encoded(plain, prompt), expected, atol=1e-5)
