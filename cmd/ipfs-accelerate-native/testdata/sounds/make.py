"""Makes small models of sounds, their weights random, and what the pipelines of
transformers answer with them.

Made with torch 1.13.0a0 (Debian's python3-torch) and transformers 4.40.2 on
CPU; usage: make.py OUT, where this file lies. The weights follow from the seed,
so that the same versions make the same files.
"""
import json
import os
import sys
import wave

import numpy as np
import torch
from transformers import (ASTConfig, ASTFeatureExtractor, ASTForAudioClassification, Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor,
                          Wav2Vec2ForCTC, pipeline)

out, rate = sys.argv[1], 16000
rng = np.random.default_rng(20261123)
for name, seconds in (("chirps.wav", 1.5), ("noise.wav", 0.7)):
    at = np.arange(int(seconds * rate)) / rate
    v = np.sin(2 * np.pi * (300 + 900 * np.sin(9 * at)) * at) * (np.sin(12 * at) > 0) * 0.6 if name == "chirps.wav" else rng.normal(0, 0.2, len(at))
    with wave.open(f"{out}/{name}", "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(rate), w.writeframes((np.clip(v, -1, 1) * 32767).astype(np.int16).tobytes())
SOUNDS = ["chirps.wav", "noise.wav"]


def sound(n):
    with wave.open(f"{out}/{n}") as w:
        return np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768


def make(name, model, extractor, given, axes):
    folder = f"{out}/{name}"
    os.makedirs(folder, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    extractor.save_pretrained(folder)
    torch.onnx.export(model, given, folder + "/model.onnx", input_names=["input_values"], output_names=["logits"], dynamic_axes=axes, opset_version=14)


goldens = []
torch.manual_seed(20261123)
names = dict(enumerate(["bark", "bell", "hum", "rain"]))
c = ASTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, patch_size=8, frequency_stride=6, time_stride=6, max_length=100, num_mel_bins=32,
              initializer_range=0.5, id2label=names, label2id={v: k for k, v in names.items()})
fe = ASTFeatureExtractor(num_mel_bins=32, max_length=100)
m = ASTForAudioClassification(c).eval()
make("ast", m, fe, (torch.randn(1, 100, 32),), {})
ask = pipeline("audio-classification", model=m, feature_extractor=fe, device=-1)
goldens.append({"model": "ast", "task": "audio-classification", "inputs": SOUNDS,
                "cases": [{"parameters": x, "answers": [ask(sound(n), **x) for n in SOUNDS]} for x in ({"top_k": 4}, {"top_k": 1})]})

letters = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, **{x: i + 5 for i, x in enumerate("ET")}}
c = Wav2Vec2Config(vocab_size=len(letters), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8, 8, 8), conv_stride=(5, 4, 4), conv_kernel=(10, 5, 4),
                   num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, initializer_range=0.9, feat_extract_norm="layer", do_stable_layer_norm=True)
fe = Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=rate, padding_value=0.0, do_normalize=True, return_attention_mask=False)
m = Wav2Vec2ForCTC(c).eval()
m.lm_head.bias.data[1:4], m.lm_head.bias.data[4] = -50, 5  # words, and no tokens that are none
make("ctc", m, fe, (torch.randn(1, 8000),), {"input_values": {1: "samples"}, "logits": {1: "frames"}})
json.dump(letters, open(f"{out}/ctc/vocab.json", "w"))
tok = Wav2Vec2CTCTokenizer(f"{out}/ctc/vocab.json")
ask = pipeline("automatic-speech-recognition", model=m, tokenizer=tok, feature_extractor=fe, device=-1)
goldens.append({"model": "ctc", "task": "automatic-speech-recognition", "inputs": SOUNDS,
                "cases": [{"parameters": x, "answers": [[ask({"raw": sound(n), "sampling_rate": rate}, **x)] for n in SOUNDS]} for x in ({"return_timestamps": "word"}, {"return_timestamps": "char"}, {})]})
json.dump(json.loads(json.dumps(goldens, default=float)), open(out + "/goldens.json", "w"), indent=1)
