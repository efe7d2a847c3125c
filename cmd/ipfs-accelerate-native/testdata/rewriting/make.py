"""Makes small models with an encoder and a decoder, their weights random, and
what the pipelines of transformers answer with them.

Made with torch 1.13.0a0 (Debian's python3-torch), transformers 4.40.2,
tokenizers 0.19.1 and onnx 1.16.2 on CPU; usage: make.py OUT, where this file
lies. The weights follow from the seed; the vocabularies of Unigram come out a
little different each time, and the answers with them.
"""
import json
import os
import sys

import torch
from merged import merge
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (BartConfig, BartForConditionalGeneration, M2M100Config, M2M100ForConditionalGeneration, MarianConfig, MarianMTModel,
                          PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration, pipeline)

out = sys.argv[1]
text = """The river runs through the old city, and in the evening the light lies on the water like glass. Anna walks over the bridge
and thinks of Paris. "Where do you go?" he asks. Der Fluss ist alt und die Stadt ist neu. Naïve café déjà vu — 3.14 is less than 42."""
inputs = ["The river runs through the old city.", "Anna thinks of Paris, and he asks: where?", "Der Fluss ist neu — café 42."]


def pieces(specials, template, size=160):
    """Unigram, as T5's relatives have it."""
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    t.train_from_iterator([text] * 3, trainers.UnigramTrainer(vocab_size=size, special_tokens=specials, unk_token="<unk>", show_progress=False))
    t.post_processor = processors.TemplateProcessing(single=template, special_tokens=[(s, t.token_to_id(s)) for s in template.split() if s != "$A"])
    return t


def letters():
    """Byte-level BPE, as BART has it."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.train_from_iterator([text], trainers.BpeTrainer(vocab_size=380, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                      special_tokens=["<s>", "<pad>", "</s>", "<unk>"]))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return t


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model.get_encoder()

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class Decoder(torch.nn.Module):
    """One step, with what it remembers flat."""

    def __init__(self, model, first):
        super().__init__()
        self.model, self.first = model, first

    def forward(self, mask, ids, *more):
        if self.first:
            o = self.model(encoder_outputs=(more[0],), attention_mask=mask, decoder_input_ids=ids, use_cache=True)
            return (o.logits, *(x for layer in o.past_key_values for x in layer))
        past = tuple(more[i:i + 4] for i in range(0, len(more), 4))
        hidden = torch.zeros(1, more[2].shape[2], self.model.config.d_model)
        o = self.model(encoder_outputs=(hidden,), attention_mask=mask, decoder_input_ids=ids, past_key_values=past, use_cache=True)
        return (o.logits, *(x for layer in o.past_key_values for x in layer[:2]))


def make(name, model, tok, merged=False, **generation):
    model.eval()
    folder, config = f"{out}/{name}", model.config
    os.makedirs(folder, exist_ok=True)
    tok._tokenizer.save(folder + "/tokenizer.json")
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    model.generation_config.save_pretrained(folder)
    heads = config.num_heads if hasattr(config, "num_heads") else config.decoder_attention_heads
    layers, size = config.num_decoder_layers if hasattr(config, "num_decoder_layers") else config.decoder_layers, config.d_model // heads
    ids, mask, hidden = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.long), torch.rand(1, 3, config.d_model)
    text = {0: "batch", 1: "sequence"}
    torch.onnx.export(Encoder(model).eval(), (ids, mask), folder + "/encoder_model.onnx", input_names=["input_ids", "attention_mask"], output_names=["last_hidden_state"],
                      dynamic_axes={"input_ids": text, "attention_mask": text, "last_hidden_state": text}, opset_version=14)
    presents = [f"present.{i}.{who}.{n}" for i in range(layers) for who in ("decoder", "encoder") for n in ("key", "value")]
    axes = {"encoder_attention_mask": text, "input_ids": {0: "batch", 1: "tokens"}, "encoder_hidden_states": text, "logits": {0: "batch", 1: "tokens"}}
    axes.update({p: {0: "batch", 2: "total" if "decoder" in p else "sequence"} for p in presents})
    torch.onnx.export(Decoder(model, True).eval(), (mask, torch.tensor([[1, 2]]), hidden), folder + "/decoder_model.onnx", dynamic_axes=axes, opset_version=14,
                      input_names=["encoder_attention_mask", "input_ids", "encoder_hidden_states"], output_names=["logits", *presents])
    pasts = [p.replace("present", "past_key_values") for p in presents]
    axes.update({p: {0: "batch", 2: "past" if "decoder" in p else "sequence"} for p in pasts})
    past = [torch.rand(1, heads, 2 if "decoder" in p else 3, size) for p in pasts]
    new = [p for p in presents if "decoder" in p]
    torch.onnx.export(Decoder(model, False).eval(), (mask, torch.tensor([[1]]), *past), folder + "/decoder_with_past_model.onnx", opset_version=14,
                      dynamic_axes={k: v for k, v in axes.items() if k in pasts + new + ["encoder_attention_mask", "input_ids", "logits"]},
                      input_names=["encoder_attention_mask", "input_ids", *pasts], output_names=["logits", *new])
    if merged:
        files = [folder + "/decoder_model.onnx", folder + "/decoder_with_past_model.onnx"]
        merge(*files, folder + "/decoder_model_merged.onnx")
        for f in files:
            os.remove(f)
    return model, tok


goldens = []


def ask(name, task, model, tok, cases):
    p = pipeline(task, model=model, tokenizer=tok, device=-1)
    found = []
    for c in cases:
        fixed = dict(c)
        fixed.setdefault("num_beams", model.generation_config.num_beams)
        fixed.setdefault("do_sample", False)
        found.append({"parameters": c, "answers": [p(x, **fixed)[0] for x in inputs]})
    goldens.append({"model": name, "task": task, "inputs": inputs, "cases": found})


def fast(t, **names):
    return PreTrainedTokenizerFast(tokenizer_object=t, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", **names)


def seeded(cls, config):
    torch.manual_seed(20261123)
    return cls(config)


tok = fast(pieces(["<pad>", "</s>", "<unk>"], "$A </s>"))
t5 = T5Config(vocab_size=len(tok), d_model=24, d_kv=6, d_ff=32, num_layers=2, num_heads=4, initializer_factor=6.0, decoder_start_token_id=0,
              task_specific_params={"summarization": {"prefix": "The river: ", "max_length": 12, "no_repeat_ngram_size": 2},
                                    "translation_en_to_de": {"prefix": "Der Fluss: "}})
model, tok = make("t5", seeded(T5ForConditionalGeneration, t5), tok)
ask("t5", "summarization", model, tok, [{}, {"max_new_tokens": 20}])
model.config.update({"prefix": ""})
model.generation_config.no_repeat_ngram_size = 0
ask("t5", "text2text-generation", model, tok, [{"max_new_tokens": 16}, {"max_new_tokens": 16, "no_repeat_ngram_size": 1}, {"max_new_tokens": 16, "repetition_penalty": 1.4},
                                            {"max_new_tokens": 14, "num_beams": 3}, {"max_new_tokens": 20, "num_beams": 4, "length_penalty": 2.0, "repetition_penalty": 1.2}, {"max_new_tokens": 9, "num_beams": 2, "length_penalty": -1.0}])
p = pipeline("translation_en_to_de", model=model, tokenizer=tok, device=-1)
goldens.append({"model": "t5", "task": "translation", "inputs": inputs, "cases": [{"parameters": {"src_lang": "en", "tgt_lang": "de", "max_new_tokens": 12},
                "answers": [p(x, num_beams=1, do_sample=False, max_new_tokens=12)[0] for x in inputs]}]})

tok = fast(letters(), bos_token="<s>")
bart = BartConfig(vocab_size=len(tok), d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=32,
                  decoder_ffn_dim=32, max_position_embeddings=64, init_std=0.5, forced_bos_token_id=0, forced_eos_token_id=2, decoder_start_token_id=2)
model, tok = make("bart", seeded(BartForConditionalGeneration, bart), tok, merged=True, no_repeat_ngram_size=3, min_length=9, max_length=18)
ask("bart", "summarization", model, tok, [{}, {"no_repeat_ngram_size": 1}, {"num_beams": 4}])

tok = fast(pieces(["</s>", "<unk>", "<pad>"], "$A </s>"))
marian = MarianConfig(vocab_size=len(tok), d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=32,
                      decoder_ffn_dim=32, max_position_embeddings=64, init_std=0.5, pad_token_id=2, eos_token_id=0, decoder_start_token_id=2, forced_eos_token_id=0,
                      tie_word_embeddings=False)
model, tok = make("marian", seeded(MarianMTModel, marian), tok, merged=True, bad_words_ids=[[2], [9, 11]], max_length=24, num_beams=4, early_stopping=True)
ask("marian", "translation", model, tok, [{}, {"num_beams": 1}])

t = pieces(["<s>", "<pad>", "</s>", "<unk>", "eng_Latn", "deu_Latn", "fra_Latn"], "eng_Latn $A </s>")
tok = fast(t, bos_token="<s>")
nllb = M2M100Config(vocab_size=len(tok), d_model=24, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=32,
                    decoder_ffn_dim=32, max_position_embeddings=64, init_std=0.5, decoder_start_token_id=2, tie_word_embeddings=False)
model, tok = make("nllb", seeded(M2M100ForConditionalGeneration, nllb), tok, max_length=24)
found = []
for source, target in (("eng_Latn", "deu_Latn"), ("deu_Latn", "fra_Latn")):
    answers = []
    for x in inputs:
        ids = tok(x, return_tensors="pt").input_ids
        ids[0, 0] = t.token_to_id(source)
        got = model.generate(input_ids=ids, forced_bos_token_id=t.token_to_id(target), num_beams=1, do_sample=False)
        answers.append({"translation_text": tok.decode(got[0], skip_special_tokens=True)})
    found.append({"parameters": {"src_lang": source, "tgt_lang": target}, "answers": answers})
goldens.append({"model": "nllb", "task": "translation", "inputs": inputs, "cases": found})
json.dump(goldens, open(out + "/goldens.json", "w"), ensure_ascii=False, indent=1)
