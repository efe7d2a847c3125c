"""Makes short sounds in every format, and what Python reads and makes of them.

usage: reference.py OUT; the versions are those of requirements.txt. Sounds are
written to OUT, what libsndfile reads of them and what SciPy makes of them at
other rates to OUT/goldens.json, as base64 of float32.
"""
import base64
import json
import os
import sys

import numpy as np
import soundfile
from scipy.signal import resample_poly

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
pack = lambda a: base64.b64encode(np.asarray(a, np.float32).tobytes()).decode()


def sweep(rate, seconds, channels):
    t = np.arange(int(rate * seconds)) / rate
    one = 0.5 * np.sin(2 * np.pi * (150 * t + 900 * t * t)) * np.minimum(1, 20 * t)
    return one if channels == 1 else np.stack([one * (0.9 - 0.3 * c) for c in range(channels)], 1)


found = {"files": {}, "rates": [], "mel": []}
for name, rate, channels, subtype in [("s16.wav", 16000, 1, "PCM_16"), ("u8.wav", 8000, 1, "PCM_U8"), ("s24.wav", 22050, 2, "PCM_24"), ("s32.wav", 11025, 1, "PCM_32"),
                                      ("f32.wav", 16000, 2, "FLOAT"), ("f64.wav", 8000, 1, "DOUBLE"), ("ulaw.wav", 8000, 1, "ULAW"), ("alaw.wav", 8000, 1, "ALAW"),
                                      ("s16.flac", 16000, 2, "PCM_16"), ("s24.flac", 11025, 1, "PCM_24"), ("v.ogg", 16000, 1, "VORBIS"), ("l.mp3", 32000, 1, "MPEG_LAYER_III")]:
    soundfile.write(f"{out}/{name}", sweep(rate, 0.1, channels), rate, subtype=subtype)
    samples, rate = soundfile.read(f"{out}/{name}", dtype="float32", always_2d=True)
    found["files"][name] = {"rate": rate, "samples": pack(samples.mean(1, dtype=np.float32))}
for old, new in [(44100, 16000), (8000, 16000), (48000, 16000), (22050, 16000), (16000, 11025), (11025, 16000)]:
    x = sweep(old, 0.1, 1).astype(np.float32)
    g = np.gcd(old, new)
    found["rates"].append({"from": old, "to": new, "in": pack(x), "out": pack(resample_poly(x.astype(np.float64), new // g, old // g))})


def mel(x, bands):
    """Whisper's spectrogram, as its paper's code has it."""
    hz = lambda m: np.where(m < 15, 200 * m / 3, 1000 * np.exp(np.log(6.4) / 27 * (m - 15)))
    edges = hz(np.linspace(0, 15 + np.log(8) * 27 / np.log(6.4), bands + 2))
    k = np.arange(201) * 40.0
    up = (k[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - k[None]) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(up, down)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    x = np.pad(x, 200, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([np.abs(np.fft.rfft(x[i : i + 400] * hann)) ** 2 for i in range(0, len(x) - 400, 160)], 1)
    log = np.log10(np.maximum(bank @ frames, 1e-10))
    return (np.maximum(log, log.max() - 8) + 4) / 4


for bands in (80, 128):
    x = sweep(16000, 0.3, 1)
    found["mel"].append({"bands": bands, "in": pack(x), "out": pack(mel(x.astype(np.float32).astype(np.float64), bands))})
json.dump(found, open(f"{out}/goldens.json", "w"), indent=1)
