"""Makes small pictures in every format, and what Pillow reads and makes of them.

usage: reference.py OUT; the versions are those of requirements.txt. Pictures are
written to OUT, what Pillow reads of NAME as NAME.rgb.png, and the hashes of
resized copies to OUT/goldens.json.
"""
import hashlib
import json
import os
import sys

from PIL import Image, ImageOps

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
state = 20261123


def noise():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
    return state >> 56


def picture(w, h, smooth):
    """Waves of colour, and noise on every smooth-th pixel."""
    data = bytearray()
    for y in range(h):
        for x in range(w):
            n = noise() if (x + y) % smooth == 0 else 128
            data += bytes([(x * 255 // w + n // 4) % 256, (y * 255 // h + n // 8) % 256, ((x * y) // 7 + n) % 256])
    return Image.frombytes("RGB", (w, h), bytes(data))


def gradient(w, h):
    return Image.frombytes("RGB", (w, h), bytes(c for y in range(h) for x in range(w) for c in (x * 255 // w, y * 255 // h, 255 - (x + y) * 255 // (w + h))))


rgb, soft = picture(61, 47, 3), gradient(61, 47)
rgba = rgb.copy()
rgba.putalpha(Image.frombytes("L", rgb.size, bytes(noise() for _ in range(61 * 47))))
saves = [
    ("rgb.png", rgb, {}), ("rgba.png", rgba, {}), ("gray.png", rgb.convert("L"), {}), ("graya.png", rgba.convert("LA"), {}), ("palette.png", rgb.quantize(40), {}),
    ("bits.png", rgb.convert("1"), {}), ("rgb.bmp", rgb, {}), ("rgb.tiff", rgb, {}), ("lzw.tiff", rgb, {"compression": "tiff_lzw"}),
    ("palette.gif", rgb.quantize(60), {}), ("lossless.webp", rgb, {"lossless": True}), ("lossy.webp", soft, {"quality": 90}),
    ("444.jpg", soft, {"quality": 92, "subsampling": 0}), ("422.jpg", soft, {"quality": 92, "subsampling": 1}), ("420.jpg", soft, {"quality": 92, "subsampling": 2}),
    ("gray.jpg", soft.convert("L"), {}), ("cmyk.jpg", soft.convert("CMYK"), {"quality": 95}),
]
for turn in range(2, 9):
    exif = Image.Exif()
    exif[0x112] = turn
    for ext in ("jpg", "png", "webp", "tiff"):
        more = {"lossless": True} if ext == "webp" else {"quality": 95, "subsampling": 0} if ext == "jpg" else {}
        saves.append((f"turned{turn}.{ext}", soft.resize((12, 8)), {"exif": exif, **more}))
for name, im, more in saves:
    im.save(f"{out}/{name}", **more)
    ImageOps.exif_transpose(Image.open(f"{out}/{name}")).convert("RGB").save(f"{out}/{name}.rgb.png")

found = {}
for size in [(224, 224), (30, 20), (61, 20), (100, 47), (1, 1), (7, 90), (55, 12)]:
    for f in range(6):
        made = Image.open(f"{out}/rgb.png").resize(size, f)
        found[f"{size[0]}x{size[1]} {f}"] = hashlib.sha256(made.tobytes()).hexdigest()
json.dump(found, open(f"{out}/goldens.json", "w"), indent=1)
