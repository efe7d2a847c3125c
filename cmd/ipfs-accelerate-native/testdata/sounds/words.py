"""Makes a small Whisper, its weights random, whose decoders give their cross
attentions, and what the pipeline of transformers answers with it.

Made with torch 1.13.0a0 (Debian's python3-torch), transformers 4.40.2 and
tokenizers 0.19.1 on CPU; usage: words.py OUT, where make.py made its sounds. The
weights follow from the seed, so that the same versions make the same files.
"""
import json
import os
import sys
import wave

import numpy as np
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizerFast, pipeline
from transformers.modeling_outputs import BaseModelOutput

out = sys.argv[1]
folder = out + "/words"
os.makedirs(folder, exist_ok=True)
SOUNDS = ["chirps.wav", "noise.wav"]


def sound(n):
    with wave.open(f"{out}/{n}") as w:
        return {"raw": np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768, "sampling_rate": w.getframerate()}


bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(['The river runs (very) slowly, and "Anna" asks: where? It\'s 3.14 - no! Das Öl, café, 日本語 机器 学习。'] * 3, vocab_size=330, show_progress=False)
SPECIAL = ["<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
tok = WhisperTokenizerFast(tokenizer_object=bpe._tokenizer, clean_up_tokenization_spaces=False)
tok.add_special_tokens({"additional_special_tokens": SPECIAL})
tok.add_tokens([f"<|{i * 0.02:.2f}|>" for i in range(1501)])
tok._tokenizer.save(folder + "/tokenizer.json")
ids = {s: tok.convert_tokens_to_ids(s) for s in SPECIAL + ["<|endoftext|>"]}
start, end, untimed = ids["<|startoftranscript|>"], ids["<|endoftext|>"], ids["<|notimestamps|>"]

torch.manual_seed(3)
c = WhisperConfig(vocab_size=len(tok), d_model=8, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
                  init_std=0.9, max_target_positions=64, decoder_start_token_id=start, bos_token_id=end, eos_token_id=end, pad_token_id=end, median_filter_width=5,
                  tie_word_embeddings=False, suppress_tokens=None, begin_suppress_tokens=None, architectures=["WhisperForConditionalGeneration"])
m = WhisperForConditionalGeneration(c).eval()
scale = torch.full((len(tok), 1), 0.9)  # of times
for i in range(untimed + 1):  # words, the ends of some, few broken characters, and no tokens that are none
    text = tok.decode([i])
    scale[i] = 0 if i >= start else 3.2 if text.startswith(" ") else 1.2 if "\ufffd" in text or text < "!" else 2.6
m.proj_out.weight.data *= scale
where, (time, last) = m.model.decoder.embed_positions.weight.data, torch.nn.functional.normalize(torch.randn(2, c.d_model))
m.proj_out.weight.data[untimed + 1:] += 4 * time  # which come in the middle, and the end later
m.proj_out.weight.data[end] = 8 * last
where[13:15] += 40 * time
where[26:] += 40 * last
m.generation_config = GenerationConfig(
    decoder_start_token_id=start, bos_token_id=end, eos_token_id=end, pad_token_id=end, max_length=60, no_timestamps_token_id=untimed, is_multilingual=True, max_initial_timestamp_index=50,
    lang_to_id={s: ids[s] for s in ("<|en|>", "<|zh|>")}, task_to_id={s: ids[f"<|{s}|>"] for s in ("translate", "transcribe")}, alignment_heads=[[0, 1], [1, 0], [1, 1]],
    suppress_tokens=[], begin_suppress_tokens=[end])
fe = WhisperFeatureExtractor()
for part in (c, m.generation_config, fe):
    part.save_pretrained(folder)


class Decoder(torch.nn.Module):
    """One step, with what it remembers flat."""

    def __init__(self, first):
        super().__init__()
        self.model, self.first = m, first

    def forward(self, tokens, *more):
        hidden = more[0] if self.first else torch.zeros(1, 1500, c.d_model)
        past = None if self.first else tuple(more[i:i + 4] for i in range(0, len(more), 4))
        o = self.model(encoder_outputs=BaseModelOutput(hidden), decoder_input_ids=tokens, past_key_values=past, use_cache=True, output_attentions=True)
        return (o.logits, *(x for layer in o.past_key_values for x in (layer if self.first else layer[:2])), *o.cross_attentions)


features = fe(sound(SOUNDS[0])["raw"], sampling_rate=16000, return_tensors="pt").input_features
torch.onnx.export(m.get_encoder(), (features,), folder + "/encoder_model.onnx", input_names=["input_features"], output_names=["last_hidden_state"], opset_version=14)
presents = [f"present.{i}.{who}.{n}" for i in range(2) for who in ("decoder", "encoder") for n in ("key", "value")]
looks = ["cross_attentions.0", "cross_attentions.1"]
axes = {"input_ids": {1: "tokens"}, "logits": {1: "tokens"}, **{p: {2: "total"} for p in presents if "decoder" in p}, **{n: {2: "tokens"} for n in looks}}
torch.onnx.export(Decoder(True).eval(), (torch.tensor([[start, untimed]]), torch.rand(1, 1500, c.d_model)), folder + "/decoder_model.onnx", dynamic_axes=axes, opset_version=14,
                  input_names=["input_ids", "encoder_hidden_states"], output_names=["logits", *presents, *looks])
pasts, new = [p.replace("present", "past_key_values") for p in presents], [p for p in presents if "decoder" in p]
axes = {**{p: {2: "past"} for p in pasts if "decoder" in p}, **{p: {2: "total"} for p in new}}
torch.onnx.export(Decoder(False).eval(), (torch.tensor([[1]]), *(torch.rand(1, 2, 2 if "decoder" in p else 1500, 4) for p in pasts)), folder + "/decoder_with_past_model.onnx",
                  dynamic_axes=axes, opset_version=14, input_names=["input_ids", *pasts], output_names=["logits", *new, *looks])

ask = pipeline("automatic-speech-recognition", model=m, tokenizer=tok, feature_extractor=fe, device=-1)


def answer(name, times, **how):
    """As the pipeline has it, but for spaces around texts. Of words, the pipeline of this version neither leaves out what is behind the sound nor has times
    keep their order, as later ones do."""
    s, how = sound(name), {"task": "transcribe", **how}
    if times == "word":
        given = fe(s["raw"], sampling_rate=s["sampling_rate"], return_tensors="pt").input_features
        o = m.generate(given, return_timestamps=True, return_token_timestamps=True, num_frames=len(s["raw"]) // fe.hop_length, **how)
        text, more = tok._decode_asr([{"tokens": o["sequences"], "token_timestamps": o["token_timestamps"]}], return_timestamps="word", return_language=None, time_precision=0.02)
        a = {"text": text, **more}
    else:
        a = ask(s, return_timestamps=times, generate_kwargs=how)
    return [{"text": a["text"].strip(), "chunks": [{"text": x["text"].strip(), "timestamp": x["timestamp"]} for x in a["chunks"]]}]


cases = [{"return_timestamps": "word", "language": "en"}, {"return_timestamps": "word", "language": "zh"}, {"return_timestamps": "word"}, {"return_timestamps": True, "language": "en"}]
goldens = [{"model": "words", "task": "automatic-speech-recognition", "inputs": SOUNDS, "cases": [
    {"parameters": x, "answers": [answer(n, x["return_timestamps"], **{k: v for k, v in x.items() if k == "language"}) for n in SOUNDS]} for x in cases]}]
json.dump(json.loads(json.dumps(goldens, default=float)), open(out + "/words.json", "w"), indent=1)
