"""Makes an ONNX model of SmolLM2-135M-Instruct out of its GGUF file, weights in
4 bits as they are there.

usage: smollm2.py GGUF OUT [grouped]; needs numpy and onnx. Grouped attention is
one operator, GroupQueryAttention, as in files made for ONNX Runtime; else it is
spelled out, as exporters do.

GGUF's Q4_1 is w = d*q + m per 32 weights, q from 0 to 15. MatMulNBits takes 8
off q by itself, so w = d*(q-8) + (m + 8*d): the second part is a product with
the sums of the inputs per block. Q8_0, the embedding's, is w = d*q with q of 8
bits: two matrices of 4 bits, q + 128 = 16*high + low.
"""
import os
import struct
import sys

import numpy as np
import onnx
from convert import FLOAT, INT64, Graph, write
from onnx import TensorProto, helper

BLOCK, HALF = 32, np.float16


def gguf(path):
    """Reads the metadata and the tensors, which stay in the file."""
    f = np.memmap(path, np.uint8, "r")
    at = 4
    scalars = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def take(kind):
        nonlocal at
        v = struct.unpack_from("<" + kind, f, at)[0]
        at += struct.calcsize(kind)
        return v

    def text():
        nonlocal at
        n = take("Q")
        at += n
        return bytes(f[at - n:at]).decode()

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            of, n = take("I"), take("Q")
            return [value(of) for _ in range(n)]
        return take(scalars[kind])

    assert bytes(f[:4]) == b"GGUF" and take("I") in (2, 3)
    tensors, keys = take("Q"), take("Q")
    meta = {}
    for _ in range(keys):
        k = text()
        meta[k] = value(take("I"))
    entries = []
    for _ in range(tensors):
        name = text()
        shape = [take("Q") for _ in range(take("I"))][::-1]
        entries.append((name, shape, take("I"), take("Q")))
    align = meta.get("general.alignment", 32)
    base = -(-at // align) * align
    sizes = {0: (1, 4), 3: (BLOCK, 20), 8: (BLOCK, 34)}  # weights and bytes of a block
    out = {}
    for name, shape, kind, offset in entries:
        per, size = sizes[kind]
        n = int(np.prod(shape)) // per * size
        raw = f[base + offset:base + offset + n]
        out[name] = raw.view(np.float32).reshape(shape) if kind == 0 else raw.reshape(shape[0], -1, size)
    return meta, out


def halves(a):
    return np.ascontiguousarray(a).view(HALF)[..., 0].astype(np.float32)


def pairs(q):
    """Packs numbers of 4 bits as MatMulNBits wants them, the even one below."""
    return q[..., 0::2] | q[..., 1::2] << 4


def rotated(a, heads):
    """Undoes the order of llama.cpp, which has the two halves of a head by turns."""
    return a.reshape(heads, a.shape[0] // heads // 2, 2, *a.shape[1:]).swapaxes(1, 2).reshape(a.shape)


class Llama(Graph):
    def __init__(self, path, grouped):
        super().__init__("smollm2")
        self.grouped = grouped
        self.meta, self.t = gguf(path)
        get = lambda k: self.meta["llama." + k]
        self.layers, self.width, self.heads, self.groups = get("block_count"), get("embedding_length"), get("attention.head_count"), get("attention.head_count_kv")
        self.inner, self.epsilon, self.context, self.theta = get("feed_forward_length"), get("attention.layer_norm_rms_epsilon"), get("context_length"), get("rope.freq_base")
        self.size, self.words = self.width // self.heads, len(self.meta["tokenizer.ggml.tokens"])
        self.sums = {}

    def save(self, path, inputs, outputs):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        info = lambda vs: [helper.make_tensor_value_info(*v) for v in vs]
        g = helper.make_graph(self.nodes, self.name, info(inputs), info(outputs), list(self.weights.values()))
        sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(g, opset_imports=sets, ir_version=8), path)

    def packed(self, x, q, scale, columns, rows):
        return self.op("MatMulNBits", [x, q, scale], domain="com.microsoft", K=columns, N=rows, bits=4, block_size=BLOCK)

    def block_sums(self, x, columns):
        if x not in self.sums:
            self.sums[x] = self.op("ReduceSum", [self.op("Reshape", [x, self.ints(0, 0, columns // BLOCK, BLOCK)]), self.ints(-1)], keepdims=0)
        return self.sums[x]

    def linear(self, x, name, heads=0):
        raw = self.t[name + ".weight"]
        if heads:
            raw = rotated(raw, heads)
        rows, columns = raw.shape[0], raw.shape[1] * BLOCK
        d, m, q = halves(raw[..., 0:2]), halves(raw[..., 2:4]), raw[..., 4:]
        q = pairs(np.concatenate([q & 15, q >> 4], -1))
        y = self.packed(x, self.weight(name + ".q", q), self.weight(name + ".d", d.reshape(-1)), columns, rows)
        return self.op("Add", [y, self.op("MatMul", [self.block_sums(x, columns), self.weight(name + ".m", (m + 8 * d).T)])])

    def norm(self, x, name):
        mean = self.op("ReduceMean", [self.op("Mul", [x, x])], axes=[-1], keepdims=1)
        y = self.op("Div", [x, self.op("Sqrt", [self.op("Add", [mean, self.scalar(float(self.epsilon))])])])
        return self.op("Mul", [y, self.weight(name, self.t[name + ".weight"])])

    def embedding(self):
        raw = self.t["token_embd.weight"]
        q = (np.ascontiguousarray(raw[..., 2:]).view(np.int8).astype(np.int16) + 128).astype(np.uint8)
        self.d = halves(raw[..., 0:2])
        self.high, self.low = self.weight("words.high", pairs(q >> 4)), self.weight("words.low", pairs(q & 15))

        def numbers(name):
            v = self.op("Cast", [self.op("Gather", [name, "input_ids"])], to=FLOAT)
            up = self.op("Floor", [self.op("Mul", [v, self.scalar(1 / 16)])])
            both = [self.op("Sub", [v, self.op("Mul", [up, self.scalar(16.0)])]), up]
            v = self.op("Concat", [self.op("Unsqueeze", [b, self.ints(-1)]) for b in both], axis=-1)
            return self.op("Reshape", [v, self.ints(0, 0, self.width // BLOCK, BLOCK)])

        x = self.op("Sub", [self.op("Add", [self.op("Mul", [numbers(self.high), self.scalar(16.0)]), numbers(self.low)]), self.scalar(128.0)])
        d = self.op("Unsqueeze", [self.op("Gather", [self.weight("words.d", self.d), "input_ids"]), self.ints(-1)])
        return self.op("Reshape", [self.op("Mul", [x, d]), self.ints(0, 0, self.width)])

    def head(self, x):
        y = self.op("Add", [self.packed(x, self.high, self.weight("head.high", (16 * self.d).reshape(-1)), self.width, self.words),
                            self.packed(x, self.low, self.weight("head.low", self.d.reshape(-1)), self.width, self.words)])
        self.op("Add", [y, self.op("MatMul", [self.block_sums(x, self.width), self.weight("head.m", (8 * self.d).T)])], "logits")

    def positions(self):
        turns = (1.0 / self.theta ** (np.arange(0, self.size, 2, dtype=np.float64) / self.size)).astype(np.float32)
        angles = np.arange(self.context, dtype=np.float32)[:, None] * turns
        if self.grouped:
            self.cos, self.sin = self.weight("cos", np.cos(angles)), self.weight("sin", np.sin(angles))
            short = lambda n: self.op("Cast", [n], to=TensorProto.INT32)
            self.last = short(self.op("Sub", [self.op("ReduceSum", ["attention_mask", self.ints(1)], keepdims=0), self.ints(1)]))
            self.total = short(self.op("Squeeze", [self.op("Shape", ["attention_mask"], start=1, end=2)]))
            return
        at = lambda name, a: self.op("Unsqueeze", [self.op("Gather", [self.weight(name, a), "position_ids"]), self.ints(1)])
        self.cos, self.sin = at("cos", np.cos(angles)), at("sin", np.sin(angles))
        new, total = self.op("Shape", ["input_ids"], start=1, end=2), self.op("Shape", ["attention_mask"], start=1, end=2)
        upto = lambda n: self.op("Range", [self.scalar(0, np.int64), self.op("Squeeze", [n]), self.scalar(1, np.int64)])
        rows = self.op("Unsqueeze", [self.op("Add", [upto(new), self.op("Squeeze", [self.op("Sub", [total, new])])]), self.ints(1)])
        seen = self.op("LessOrEqual", [self.op("Unsqueeze", [upto(total), self.ints(0)]), rows])
        there = self.op("Cast", [self.op("Unsqueeze", ["attention_mask", self.ints(1, 2)])], to=TensorProto.BOOL)
        self.mask = self.op("Where", [self.op("And", [seen, there]), self.scalar(0.0), self.scalar(-1e9)])

    def turn(self, x):
        a, b = self.op("Split", [x], n=2, axis=-1)
        part = lambda kind, u, v: self.op(kind, [self.op("Mul", [u, self.cos]), self.op("Mul", [v, self.sin])])
        return self.op("Concat", [part("Sub", a, b), part("Add", b, a)], axis=-1)

    def shared(self, x):
        x = self.op("Tile", [self.op("Unsqueeze", [x, self.ints(2)]), self.ints(1, 1, self.heads // self.groups, 1, 1)])
        return self.op("Reshape", [x, self.ints(0, self.heads, -1, self.size)])

    def spell(self, q, k, v, past, present):
        q, k, v = self.turn(self.split_heads(q, self.size)), self.turn(self.split_heads(k, self.size)), self.split_heads(v, self.size)
        k, v = (self.op("Concat", [before, new], both, axis=2) for before, new, both in zip(past, (k, v), present))
        return self.attend(q, self.shared(k), self.shared(v), self.size, self.mask)

    def group(self, q, k, v, past, present):
        out = f"group.{present[0]}"
        self.nodes.append(helper.make_node("GroupQueryAttention", [q, k, v, *past, self.last, self.total, self.cos, self.sin], [out, *present],
                                           domain="com.microsoft", num_heads=self.heads, kv_num_heads=self.groups, do_rotary=1))
        return out

    def layer(self, x, i):
        p = f"blk.{i}."
        y = self.norm(x, p + "attn_norm")
        q, k, v = self.linear(y, p + "attn_q", self.heads), self.linear(y, p + "attn_k", self.groups), self.linear(y, p + "attn_v")
        past, present = ([f"{prefix}.{i}.{n}" for n in ("key", "value")] for prefix in ("past_key_values", "present"))
        a = (self.group if self.grouped else self.spell)(q, k, v, past, present)
        x = self.op("Add", [x, self.linear(a, p + "attn_output")])
        y = self.norm(x, p + "ffn_norm")
        gate = self.linear(y, p + "ffn_gate")
        y = self.op("Mul", [self.op("Mul", [gate, self.op("Sigmoid", [gate])]), self.linear(y, p + "ffn_up")])
        return self.op("Add", [x, self.linear(y, p + "ffn_down")])

    def model(self, path):
        x = self.embedding()
        self.positions()
        for i in range(self.layers):
            x = self.layer(x, i)
        self.head(self.norm(x, "output_norm"))
        names = [f"{i}.{n}" for i in range(self.layers) for n in ("key", "value")]
        at = lambda prefix, length: [(prefix + n, FLOAT, ["batch", self.groups, length, self.size]) for n in names]
        ids = [(n, INT64, ["batch", length]) for n, length in (("input_ids", "sequence"), ("attention_mask", "total"), ("position_ids", "sequence"))]
        ids = ids[:2] if self.grouped else ids
        self.save(path, ids + at("past_key_values.", "past"), [("logits", FLOAT, ["batch", "sequence", self.words])] + at("present.", "total"))

    def tokenizer(self, out):
        tokens, kinds = self.meta["tokenizer.ggml.tokens"], self.meta["tokenizer.ggml.token_type"]
        special = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
                   for i, (t, kind) in enumerate(zip(tokens, kinds)) if kind == 3]
        bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        write(out + "/tokenizer.json", {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, bytes_]},
            "post_processor": None, "decoder": bytes_,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                      "byte_fallback": False, "vocab": {t: i for i, t in enumerate(tokens)}, "merges": self.meta["tokenizer.ggml.merges"]}})
        text = lambda k: tokens[self.meta[f"tokenizer.ggml.{k}_token_id"]]
        write(out + "/tokenizer_config.json", {"bos_token": text("bos"), "eos_token": text("eos"), "chat_template": self.meta["tokenizer.chat_template"]})
        write(out + "/config.json", {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": self.context, "vocab_size": self.words,
                                     "eos_token_id": self.meta["tokenizer.ggml.eos_token_id"]})


if __name__ == "__main__":
    m = Llama(sys.argv[1], "grouped" in sys.argv[3:])
    m.model(sys.argv[2] + "/onnx/model.onnx")
    m.tokenizer(sys.argv[2])
