"""Makes small models of pictures and sound, their weights random, and what the
pipelines of transformers answer with them. The pictures are those of pictures.py.

Made with torch 1.13.0a0 (Debian's python3-torch), transformers 4.40.2, Pillow
11.3.0 and tokenizers 0.19.1 on CPU; usage: make.py OUT, where this file lies.
The weights follow from the seed, so that the same versions make the same files.
"""
import json
import os
import sys
import wave
from functools import partial

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (CLIPConfig, CLIPModel, DetrConfig, DetrForSegmentation, DetrImageProcessor, GLPNConfig, GLPNForDepthEstimation, GLPNImageProcessor,
                          Mask2FormerConfig, Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor, MaskFormerConfig, MaskFormerForInstanceSegmentation,
                          MaskFormerImageProcessor, PreTrainedTokenizerFast, ResNetConfig, SegformerConfig, SegformerForSemanticSegmentation,
                          SegformerImageProcessor, SwinConfig, ViTConfig, ViTForImageClassification, ViTModel, Wav2Vec2Config, Wav2Vec2CTCTokenizer,
                          Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2ForSequenceClassification, YolosConfig, YolosForObjectDetection, pipeline)

import pictures

out = sys.argv[1]
load = partial(pictures.load, out)
PICTURES, PROCESSORS = pictures.PICTURES, pictures.PROCESSORS
pictures.main(out)


def make(name, model, config, given, outputs, processor, axes=None, opset=14):
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    if processor is not None:
        processor.save_pretrained(folder)
    dynamic = {n: {0: "batch"} for n in list(given) + outputs}
    for n, more in (axes or {}).items():
        dynamic[n].update(more)

    class Only(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *args):
            o = self.model(**dict(zip(given, args)), return_dict=True)
            return tuple(o[n] for n in outputs)

    torch.onnx.export(Only().eval(), tuple(given.values()), folder + "/model.onnx", input_names=list(given), output_names=outputs, dynamic_axes=dynamic, opset_version=opset)


goldens = []


def golden(model, task, inputs, cases):
    goldens.append({"model": model, "task": task, "inputs": inputs, "cases": cases})


def labels(config, *names):
    config.id2label, config.label2id = dict(enumerate(names)), {n: i for i, n in enumerate(names)}
    return config


small = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, initializer_range=0.6)
pixels = lambda h, w: {"pixel_values": torch.randn(1, 3, h, w)}
torch.manual_seed(20261123)

c = labels(ViTConfig(image_size=16, patch_size=4, **small), "cat", "dog", "fox", "owl", "bee")
m, p = ViTForImageClassification(c).eval(), PROCESSORS[1]
make("vit", m, c, pixels(16, 16), ["logits"], p)
ask = pipeline("image-classification", model=m, image_processor=p, device=-1)
golden("vit", "image-classification", PICTURES, [{"parameters": x, "answers": [ask(load(n), **x) for n in PICTURES]} for x in ({}, {"top_k": 2}, {"top_k": 5, "function_to_apply": "sigmoid"})])

c = ViTConfig(image_size=16, patch_size=4, **small)
m, p = ViTModel(c).eval(), PROCESSORS[0]
make("vitmodel", m, c, pixels(16, 16), ["last_hidden_state", "pooler_output"], p)
with torch.no_grad():
    vectors = [m(**p(load(n), return_tensors="pt"))["pooler_output"][0].tolist() for n in PICTURES]
golden("vitmodel", "image-feature-extraction", PICTURES, [{"parameters": {}, "answers": [[{"dim": 16, "embedding": v}] for v in vectors]}])

c = labels(YolosConfig(image_size=[24, 32], patch_size=8, num_detection_tokens=7, use_mid_position_embeddings=False, **small), "cup", "hat", "jar")
m, p = YolosForObjectDetection(c).eval(), DetrImageProcessor(size={"height": 24, "width": 32}, do_pad=False)
make("yolos", m, c, pixels(24, 32), ["logits", "pred_boxes"], p)
answers = {t: [] for t in (0.5, 0.2)}
for t in answers:
    for n in PICTURES:
        im = load(n)
        with torch.no_grad():
            r = p.post_process_object_detection(m(**{"pixel_values": p(im, return_tensors="pt")["pixel_values"]}), threshold=t, target_sizes=[im.size[::-1]])[0]
        found = sorted(zip(r["scores"].tolist(), r["labels"].tolist(), r["boxes"].tolist()), key=lambda x: -x[0])
        inside = lambda v, most: min(max(v, 0), most)
        answers[t].append([{"label": c.id2label[k], "score": s, "box": {"xmin": inside(b[0], im.width), "ymin": inside(b[1], im.height), "xmax": inside(b[2], im.width), "ymax": inside(b[3], im.height)}} for s, k, b in found])
golden("yolos", "object-detection", PICTURES, [{"parameters": {"score_threshold": t}, "answers": a} for t, a in answers.items()])

c = labels(SegformerConfig(num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2],
                           mlp_ratios=[2, 2], decoder_hidden_size=16, initializer_range=0.6), "wall", "sky", "tree", "road")
m, p = SegformerForSemanticSegmentation(c).eval(), SegformerImageProcessor(size={"height": 32, "width": 32})
make("segformer", m, c, pixels(32, 32), ["logits"], p)
answers = []
for n in PICTURES:
    im = load(n)
    with torch.no_grad():
        o = m(**p(im, return_tensors="pt"))
    seg = p.post_process_semantic_segmentation(o, target_sizes=[im.size[::-1]])[0].numpy()
    answers.append([{"label": c.id2label[k], "area": float((seg == k).mean())} for k in np.unique(seg).tolist()])
golden("segformer", "image-segmentation", PICTURES, [{"parameters": {}, "answers": answers}])

c = GLPNConfig(num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2],
               decoder_hidden_size=8, initializer_range=0.4)
m, p = GLPNForDepthEstimation(c).eval(), GLPNImageProcessor(size_divisor=16)
make("glpn", m, c, pixels(32, 48), ["predicted_depth"], p, {"pixel_values": {2: "height", 3: "width"}, "predicted_depth": {1: "height", 2: "width"}})
answers = []
for n in PICTURES:
    with torch.no_grad():
        d = m(**p(load(n), return_tensors="pt"))["predicted_depth"][0]
    answers.append([{"depth": {"min": float(d.min()), "max": float(d.max()), "mean": float(d.mean())}}])
golden("glpn", "depth-estimation", PICTURES, [{"parameters": {}, "answers": answers}])

words = "a photo of this is an the cat dog fox red blue picture . !".split()
vocab = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]"] + words + ["[SEP]"])}
t = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
t.normalizer, t.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", len(vocab) - 1)])
tok = PreTrainedTokenizerFast(tokenizer_object=t, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=20, model_input_names=["input_ids", "attention_mask"])
text = dict(vocab_size=len(vocab), max_position_embeddings=20, eos_token_id=len(vocab) - 1, projection_dim=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
c = CLIPConfig(text_config=text, vision_config=dict(image_size=16, patch_size=4, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32), projection_dim=8)
m, p = CLIPModel(c).eval(), PROCESSORS[1]
m.logit_scale.data.fill_(3.0)
given = dict(tok(["a cat", "the red dog"], padding=True, return_tensors="pt"))
make("clip", m, c, {"input_ids": given["input_ids"], "pixel_values": torch.randn(1, 3, 16, 16), "attention_mask": given["attention_mask"]},
     ["logits_per_image"], p, {"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}, "logits_per_image": {1: "texts"}})
tok._tokenizer.save(os.path.join(out, "clip", "tokenizer.json"))
ask = pipeline("zero-shot-image-classification", model=m, tokenizer=tok, image_processor=p, device=-1)
golden("clip", "zero-shot-image-classification", PICTURES, [{"parameters": x, "answers": [ask(load(n), **x) for n in PICTURES]} for x in (
    {"candidate_labels": ["cat", "red dog", "fox"]}, {"candidate_labels": ["cat", "blue fox"], "hypothesis_template": "a picture of the {} !"})])

# Sound: sweeps.
rate = 16000
for name, seconds, r in (("sweep", 0.5, rate), ("low", 0.3, rate)):
    n = int(seconds * r)
    at = np.arange(n) / r
    v = (np.sin(2 * np.pi * (200 * at + 1500 * at * at)) * 0.5 * 32767).astype(np.int16) if name == "sweep" else (np.sin(2 * np.pi * 90 * at) * 0.3 * 32767).astype(np.int16)
    with wave.open(os.path.join(out, name + ".wav"), "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(r), w.writeframes(v.tobytes())
SOUNDS = ["sweep.wav", "low.wav"]


def sound(n):
    with wave.open(os.path.join(out, n)) as w:
        return np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768


wav = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8, 8, 8), conv_stride=(5, 4, 4), conv_kernel=(10, 5, 4), num_conv_pos_embeddings=4,
           num_conv_pos_embedding_groups=2, initializer_range=0.6, feat_extract_norm="layer", do_stable_layer_norm=True, classifier_proj_size=8)
fe = Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=rate, padding_value=0.0, do_normalize=True, return_attention_mask=False)
c = labels(Wav2Vec2Config(**wav), "yes", "no", "up", "down")
m = Wav2Vec2ForSequenceClassification(c).eval()
make("commands", m, c, {"input_values": torch.randn(1, 8000)}, ["logits"], fe, {"input_values": {1: "samples"}})
ask = pipeline("audio-classification", model=m, feature_extractor=fe, device=-1)
golden("commands", "audio-classification", SOUNDS, [{"parameters": x, "answers": [ask(sound(n), **x) for n in SOUNDS]} for x in ({"top_k": 4}, {"top_k": 2})])

letters = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, **{x: i + 5 for i, x in enumerate("ETAOINSHR")}}
os.makedirs(os.path.join(out, "ctc"), exist_ok=True)
json.dump(letters, open(os.path.join(out, "ctc", "vocab.json"), "w"))
tok = Wav2Vec2CTCTokenizer(os.path.join(out, "ctc", "vocab.json"))
c = Wav2Vec2Config(vocab_size=len(letters), **wav)
m = Wav2Vec2ForCTC(c).eval()
make("ctc", m, c, {"input_values": torch.randn(1, 8000)}, ["logits"], fe, {"input_values": {1: "samples"}, "logits": {1: "frames"}})
answers = []
for n in SOUNDS:
    with torch.no_grad():
        ids = m(**fe(sound(n), sampling_rate=rate, return_tensors="pt")).logits.argmax(-1)[0]
    answers.append([{"text": tok.decode(ids)}])
golden("ctc", "automatic-speech-recognition", SOUNDS, [{"parameters": {}, "answers": answers}])



# Things in pictures, by queries; scipy is needed too.
def things(found):
    """As the pipeline has them, with area and box of each mask."""
    out = []
    for x in found:
        mask = np.asarray(x["mask"]) > 0
        ys, xs = np.nonzero(mask)
        out.append({"label": x["label"], "area": float(mask.mean()), "box": {"xmin": xs.min(), "ymin": ys.min(), "xmax": xs.max() + 1, "ymax": ys.max() + 1},
                    **({"score": x["score"]} if x["score"] is not None else {})})
    return out


swin = dict(image_size=32, patch_size=2, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4, out_features=["stage1", "stage2", "stage3", "stage4"])
detr = DetrConfig(d_model=32, encoder_layers=0, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, encoder_ffn_dim=16, num_queries=6, init_std=0.6)
outputs = ["class_queries_logits", "masks_queries_logits"]
CASES = [{}, {"threshold": 0.25}, {"threshold": 0.3, "mask_threshold": 0.3, "overlap_mask_area_threshold": 0.05}, {"threshold": 0.3, "overlap_mask_area_threshold": 0.95}, {"subtask": "semantic"}]
torch.manual_seed(1)
c = labels(MaskFormerConfig(fpn_feature_size=32, mask_feature_size=32, backbone_config=SwinConfig(**swin), decoder_config=detr, init_std=0.6, num_queries=6), "cup", "hat", "jar")
former = MaskFormerForInstanceSegmentation(c).eval(), MaskFormerImageProcessor(size={"height": 32, "width": 32}, size_divisor=32)
c2 = labels(Mask2FormerConfig(backbone_config=SwinConfig(**swin), feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2,
                              num_attention_heads=2, dim_feedforward=16, num_queries=6, init_std=0.3), "cup", "hat", "jar")
torch.manual_seed(5)
second = Mask2FormerForUniversalSegmentation(c2).eval(), Mask2FormerImageProcessor(size={"height": 32, "width": 32}, size_divisor=32)
resnet = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage1", "stage2", "stage3", "stage4"])
torch.manual_seed(6)
c3 = labels(DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=resnet, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=8,
                       decoder_attention_heads=8, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=6, init_std=0.6, init_xavier_std=3.0), "cup", "hat", "jar")
m = DetrForSegmentation(c3).eval()
for weights, factor in ((m.detr.model.query_position_embeddings, 3), (m.bbox_attention.q_linear, 4), (m.bbox_attention.k_linear, 4), (m.mask_head.out_lay, 6), (m.detr.class_labels_classifier, 2)):
    weights.weight.data *= factor  # so that it finds several things
third = m, DetrImageProcessor(size={"height": 32, "width": 48}, do_pad=False)
for name, config, (m, p) in (("maskformer", c, former), ("mask2former", c2, second), ("detr", c3, third)):
    sides = (32, 48) if name == "detr" else (32, 32)
    make(name, m, config, pixels(*sides), ["logits", "pred_masks"] if name == "detr" else outputs, p, opset=16)
    ask = pipeline("image-segmentation", model=m, image_processor=p, device=-1)
    golden(name, "image-segmentation", PICTURES, [{"parameters": x, "answers": [things(ask(load(n), **x)) for n in PICTURES]} for x in CASES])

json.dump(json.loads(json.dumps(goldens, default=float)), open(os.path.join(out, "goldens.json"), "w"), indent=1)
