"""Makes pictures, and what the image processors of transformers make of them.

Made with what requirements.txt names, which has no torch; usage: pictures.py OUT,
where scene.png lies.
"""
import base64
import json
import os
import sys

import numpy as np
from PIL import Image
from transformers import (BitImageProcessor, CLIPImageProcessor, ConvNextImageProcessor, DetrImageProcessor, DPTImageProcessor, EfficientNetImageProcessor,
                          GLPNImageProcessor, MaskFormerImageProcessor, MobileViTImageProcessor, ViTImageProcessor)

PROCESSORS = [
    ViTImageProcessor(size={"height": 16, "width": 16}), CLIPImageProcessor(size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16}),
    CLIPImageProcessor(size={"shortest_edge": 12}, crop_size={"height": 20, "width": 14}), ConvNextImageProcessor(size={"shortest_edge": 16}, crop_pct=0.875),
    DetrImageProcessor(size={"shortest_edge": 16, "longest_edge": 25}), DPTImageProcessor(size={"height": 24, "width": 24}, keep_aspect_ratio=True, ensure_multiple_of=8),
    GLPNImageProcessor(size_divisor=16), MobileViTImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 14, "width": 14}),
    EfficientNetImageProcessor(size={"height": 14, "width": 15}, include_top=False), BitImageProcessor(size={"shortest_edge": 15}, crop_size={"height": 12, "width": 12}, resample=1),
    MaskFormerImageProcessor(size={"shortest_edge": 17, "longest_edge": 40}, size_divisor=8), MaskFormerImageProcessor(size={"height": 20, "width": 30}, size_divisor=16),
]
PICTURES = ["scene.png", "wide.png", "strip.png"]


def load(out, name):
    return Image.open(os.path.join(out, name)).convert("RGB")


def main(out):
    picture = load(out, "scene.png")
    for name, im in (("wide", picture.crop((0, 10, 90, 40))), ("strip", picture.crop((5, 0, 25, 60)))):
        im.save(os.path.join(out, name + ".png"))
    cases = []
    for p in PROCESSORS:
        for name in PICTURES:
            v = np.asarray(p(load(out, name), return_tensors="np")["pixel_values"], np.float32)
            values = base64.b64encode(np.ascontiguousarray(v).tobytes()).decode()
            cases.append({"config": json.loads(p.to_json_string()), "picture": name, "shape": list(v.shape), "values": values})
    with open(os.path.join(out, "processors.json"), "w") as f:
        json.dump(cases, f, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
