"""What real models take in Python, to be measured in turn with ours.

usage: speed.py embed|whisper|ocr MODEL; each line of standard input is a JSON
list of inputs, answered by a line of JSON with the seconds they took, and the
text that was found. Inputs are texts, or paths.
"""
import json
import sys
import time
import wave

import numpy as np
import onnxruntime as ort

kind, model = sys.argv[1:]
session = lambda name: ort.InferenceSession(f"{model}/{name}", providers=["CPUExecutionProvider"])


def embed():
    """One text after the other: tokenised, run, averaged and scaled to length 1."""
    from tokenizers import Tokenizer
    tok, s = Tokenizer.from_file(f"{model}/tokenizer.json"), session("model.onnx")
    tok.no_padding()

    def run(texts):
        for text in texts:
            e = tok.encode(text)
            mask = np.array([e.attention_mask])
            hidden = s.run(None, {"input_ids": np.array([e.ids]), "attention_mask": mask, "token_type_ids": np.array([e.type_ids])})[0]
            v = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            v /= np.linalg.norm(v)
    return run


def whisper():
    """The likeliest tokens, with what the decoder remembers."""
    from tokenizers import Tokenizer
    c, tok = json.load(open(f"{model}/generation_config.json")), Tokenizer.from_file(f"{model}/tokenizer.json")
    encoder, decoder, more = (session(f"onnx/{n}_model.onnx") for n in ("encoder", "decoder", "decoder_with_past"))
    first, later = [o.name for o in decoder.get_outputs()], [o.name for o in more.get_outputs()]
    hz = lambda m: np.where(m < 15, 200 * m / 3, 1000 * np.exp(np.log(6.4) / 27 * (m - 15)))
    edges = hz(np.linspace(0, 15 + np.log(8) * 27 / np.log(6.4), 82))
    k = np.arange(201) * 40.0
    up, down = (k[None] - edges[:-2, None]) / np.diff(edges)[:-1, None], (edges[2:, None] - k[None]) / np.diff(edges)[1:, None]
    bank = np.maximum(0, np.minimum(up, down)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)

    def mel(x):
        x = np.pad(x.astype(np.float64), 200, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(x, 400)[::160][:-1]
        log = np.log10(np.maximum(bank @ (np.abs(np.fft.rfft(frames * hann)) ** 2).T, 1e-10))
        return ((np.maximum(log, log.max() - 8) + 4) / 4).astype(np.float32)

    def run(paths):
        with wave.open(paths[0]) as w:
            x = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768
        hidden = encoder.run(None, {"input_features": mel(np.pad(x, (0, 480000 - len(x))))[None]})[0]
        prompt = [c["decoder_start_token_id"], c["no_timestamps_token_id"]]
        out, tokens = dict(zip(first, decoder.run(None, {"input_ids": np.array([prompt]), "encoder_hidden_states": hidden}))), []
        past = {n.replace("present", "past_key_values"): v for n, v in out.items() if n != "logits"}
        while True:
            z = out["logits"][0, -1]
            z[c["suppress_tokens"] + ([] if tokens else c["begin_suppress_tokens"])] = -np.inf
            tokens.append(int(z.argmax()))
            if tokens[-1] == c["eos_token_id"]:
                return tok.decode(tokens[:-1]).strip()
            out = dict(zip(later, more.run(None, {"input_ids": np.array([tokens[-1:]]), **past})))
            past |= {n.replace("present", "past_key_values"): v for n, v in out.items() if n != "logits"}
    return run


def ocr():
    """RapidOCR with the same three models."""
    from PIL import Image
    from rapidocr_onnxruntime import RapidOCR
    reader = RapidOCR(det_model_path=f"{model}/ch_PP-OCRv4_det_infer.onnx", cls_model_path=f"{model}/ch_ppocr_mobile_v2.0_cls_infer.onnx",
                      rec_model_path=f"{model}/ch_PP-OCRv4_rec_infer.onnx", rec_keys_path=f"{model}/ppocr_keys_v1.txt")

    def run(paths):
        lines, _ = reader(np.asarray(Image.open(paths[0]).convert("RGB"))[..., ::-1])
        return "\n".join(text for _, text, _ in lines)
    return run


run = {"embed": embed, "whisper": whisper, "ocr": ocr}[kind]()
for line in sys.stdin:
    inputs = json.loads(line)
    began = time.perf_counter()
    found = run(inputs)
    print(json.dumps({"seconds": time.perf_counter() - began, "text": found or ""}), flush=True)
