"""Encodes and decodes texts with the tokenizers library for Rust.

usage: reference.py SEED COUNT OUT NAME=FILE...

Each FILE is a tokenizer.json, or a folder with encoder.json and vocab.bpe, or
a .gguf file. OUT/texts.json gets the texts, OUT/NAME.json what the library
makes of them, OUT/NAME.tokenizer.json the tokenizer that was used, and
OUT/unicode.json what the library, whose tables are of older versions of
Unicode, takes characters for: accents, punctuation, controls, and marks that
NFD puts behind one of class 1.
"""
import json
import os
import random
import struct
import sys
import unicodedata

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

seed, count, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = random.Random(seed)

WORDS = """the a of and to in don't I'll we're SHE'S can't hello world Hello, quick brown fox naïve café coöperate Ünïcödé straße ﬁ ﬂ ½ ² №42
привет мир Ελληνικά γλώσσα שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก ಕನ್ನಡ தமிழ் 机器学习 模型 浏览器 日本語 テキスト ひらがな ー 한국어 텍스트 ᄒ ᅡ ᆫ
ＦＵＬＬＷＩＤＴＨ ﾊﾝｶｸ İstanbul ıI ſ K Å Ω e\u0301 a\u0308\u0323 \u0344 \u1e9b\u0323 \u0958 𝒳 𝟘𝟙 🍕 😂 👩‍👩‍👧‍👦 👍🏽 🇫🇷 ❤️ ☎️ 1234567890 3.14159 0x1F 1,000,000 ١٢٣ Ⅷ ①
def f(x): return x**2 if(a[i]!=b){ } <tag> </s> <s> [CLS] [SEP] [MASK] <|endoftext|> <|im_start|> <|im_end|> <unk> <pad> ▁ ▁▁ Ġ Ċ http://example.org/?q=1&r=2 a_b
foo.bar@example.com #hash $9.99 50% C++ ... ?! -- — “quotes” ‘s ' 's 'S 're 'LL \u200b \u200d \ufeff \u00ad \u2028 \x00 \x07 \x1b \x7f \x85 \u00a0 \u3000 \ufffd \U000e0001""".split(" ")
SPACES = [" "] * 12 + ["", "", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n ", "\u00a0", "\u2003", "\u3000"]


def assigned():
    """Every scalar that is assigned and neither private nor a surrogate."""
    return [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cn", "Co", "Cs")]


def joined(parts):
    return "".join(p + rng.choice(SPACES) for p in parts)


def texts():
    scalars = assigned()
    rng.shuffle(scalars)
    step = len(scalars) // 9_000
    for i in range(0, len(scalars), step)[:count // 2]:
        yield joined(rng.choice([[*scalars[i:i + step]], ["".join(scalars[i:i + step])]]))
    low = [chr(c) for c in range(0x20, 0x250)]
    while True:
        kind = rng.random()
        if kind < 0.6:
            yield joined(rng.choices(WORDS, k=rng.randint(1, 24)))
        elif kind < 0.8:
            yield "".join(rng.choices(low, k=rng.randint(0, 40)))
        elif kind < 0.9:
            yield "".join(rng.choices(scalars, k=rng.randint(1, 12)))
        else:
            yield rng.choice(WORDS + SPACES) * rng.randint(0, 30)


def byte_level(vocab, merges, digits):
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level]) if digits else level
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=not digits)
    return t


def gguf(path):
    """The metadata of a GGUF file."""
    with open(path, "rb") as f:
        number = lambda kind: struct.unpack("<" + kind, f.read(struct.calcsize(kind)))[0]
        text = lambda: f.read(number("Q")).decode("utf-8")

        def value(kind):
            if kind == 8:
                return text()
            if kind == 9:
                of, n = number("I"), number("Q")
                return [value(of) for _ in range(n)]
            return number("BbHhIif?  Qqd"[kind])

        f.read(16)  # magic, version, number of tensors
        return {text(): value(number("I")) for _ in range(number("Q"))}


def load(path):
    if path.endswith(".gguf"):
        kv = gguf(path)
        tokens, kinds = kv["tokenizer.ggml.tokens"], kv["tokenizer.ggml.token_type"]
        t = byte_level({s: i for i, s in enumerate(tokens)}, [tuple(m.split(" ")) for m in kv["tokenizer.ggml.merges"]], True)
        t.add_special_tokens([AddedToken(s, normalized=False, special=True) for s, k in zip(tokens, kinds) if k == 3])
        return t
    if os.path.isdir(path):
        vocab = json.load(open(path + "/encoder.json", encoding="utf-8"))
        lines = open(path + "/vocab.bpe", encoding="utf-8").read().split("\n")
        t = byte_level(vocab, [tuple(m.split(" ")) for m in lines if m and not m.startswith("#version")], False)
        t.add_special_tokens(["<|endoftext|>"])
        return t
    return Tokenizer.from_file(path)


bert = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
accents, controls = (normalizers.BertNormalizer(**{**bert, **on}) for on in ({"strip_accents": True}, {"clean_text": True}))
punctuation, nfd = pre_tokenizers.BertPreTokenizer(), normalizers.NFD()
json.dump({
    "accents": [ord(c) for c in assigned() if accents.normalize_str(c) == ""],
    "controls": [ord(c) for c in assigned() if controls.normalize_str(c) == ""],
    "punctuation": [ord(c) for c in assigned() if len(punctuation.pre_tokenize_str("a" + c + "a")) == 3],
    "reordered": [ord(c) for c in assigned() if c != "\u0334" and nfd.normalize_str(c + "\u0334").startswith("\u0334")],
}, open(out + "/unicode.json", "w"))
source = texts()
all_texts = [next(source) for _ in range(count)]
json.dump(all_texts, open(out + "/texts.json", "w"))
for arg in sys.argv[4:]:
    name, path = arg.split("=", 1)
    t = load(path)
    t.no_truncation()
    t.no_padding()
    t.save(f"{out}/{name}.tokenizer.json")
    rows = [{
        "ids": e.ids, "types": e.type_ids, "offsets": [x for o in e.offsets for x in o], "words": [-1 if w is None else w for w in e.word_ids],
        "text": t.decode(e.ids), "special": t.decode(e.ids, skip_special_tokens=False),
    } for e in t.encode_batch(all_texts)]
    pairs = [t.encode(a, b) for a, b in zip(all_texts[0:200:2], all_texts[1:200:2])]
    json.dump({"rows": rows, "pairs": [{"ids": e.ids, "types": e.type_ids} for e in pairs]}, open(f"{out}/{name}.json", "w"))
