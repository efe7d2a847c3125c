"""Trains small models of SentencePiece, and has transformers make tokenizers of
them without tokenizer.json.

Made with what requirements.txt names, which has no torch; usage: make.py
testdata/pieces, below which this file lies: the models hold where they were made.
"""
import json
import os
import sys

import sentencepiece
from transformers import AlbertTokenizerFast, LlamaTokenizerFast, MarianTokenizer, T5TokenizerFast, XLMRobertaTokenizerFast

out = sys.argv[1]
text = """The river runs through the old city, and in the evening the light lies on the water like glass.
Anna walks over the bridge and thinks of Paris. "Where do you go?" he asks. It costs 1,000 or 3.14, not 42.
Naïve café déjà vu — straße, ﬁne, ＦＵＬＬ ½. Hello hello HELLO world worlds.
привет мир γλώσσα 日本語 テキスト 机器学习 한국어
def f(x): return x**2 if a != b else None
""".splitlines()
texts = ["", " ", "  ", "hello", " hello  world ", "The river runs — café", "naïve ﬁne ½ ＦＵＬＬ", "3.14 1,000 42,", "``quoted'' HELLO", "日本語 テキスト", "🍕 emoji ☎️", "a\tb\nc",
         "line\n\nline", "</s> <s> <pad>", "x <mask> y", "[CLS] [MASK] [SEP]", "<extra_id_0> and <extra_id_99>", "x<unk>y", "привет мир", "  leading", "trailing  ", "a" * 40, "\u200bzero\u00a0width",
         "é e\u0301 \u1e9b\u0323", "▁ under ▁▁", "<0x41> \x00 \x07"]


def train(name, kind, size, **more):
    path = f"{out}/{name}"
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(text * 20), model_prefix=path, model_type=kind, vocab_size=size, minloglevel=2, **more)
    os.remove(path + ".vocab")
    return path + ".model"



t5 = train("t5", "unigram", 117, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
xlm = train("xlm", "unigram", 117)
albert = train("albert", "unigram", 119, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols=["[CLS]", "[SEP]", "[MASK]"])
llama = train("llama", "bpe", 400, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True)
goldens = []
for path, cls, settings in ((t5, T5TokenizerFast, {}), (t5, T5TokenizerFast, {"legacy": False, "extra_ids": 3}), (xlm, XLMRobertaTokenizerFast, {}), (albert, AlbertTokenizerFast, {}),
                            (albert, AlbertTokenizerFast, {"do_lower_case": False, "keep_accents": True}), (llama, LlamaTokenizerFast, {}),
                            (llama, LlamaTokenizerFast, {"add_bos_token": False, "add_eos_token": True})):
    tok = cls(vocab_file=path, from_slow=True, **settings)
    rows = []
    for i, s in enumerate(texts):
        e, pair = tok(s, return_offsets_mapping=True), tok(s, texts[i - 1], return_token_type_ids=True)
        rows.append({"text": s, "ids": e.input_ids, "offsets": e.offset_mapping, "pair": pair.input_ids, "types": pair.token_type_ids,
                     "decoded": tok._tokenizer.decode(e.input_ids, skip_special_tokens=True)})
    goldens.append({"model": os.path.basename(path), "settings": {**settings, "tokenizer_class": cls.__name__.removesuffix("Fast")}, "rows": rows})
# Marian's models have pieces of two files, and the ids of both in a third.
marian = [train("source", "unigram", 110), train("target", "unigram", 114, seed_sentencepiece_size=3000)]
pieces = [sentencepiece.SentencePieceProcessor(model_file=path) for path in marian]
known = ["</s>", "<unk>"] + sorted({p.id_to_piece(i) for p in pieces for i in range(3, len(p)) if i % 7} | {"日"}) + [">>fr<<", ">>zh_Hant<<", "<pad>"]
json.dump({t: i for i, t in enumerate(known)}, open(out + "/marian.json", "w"), ensure_ascii=False)
tok, rows = MarianTokenizer(*marian, out + "/marian.json"), []
for s in texts[1:] + [">>fr<< hello world", ">>zh_Hant<<The river", "日 river 日本"]:
    ids = tok(s).input_ids
    rows.append({"text": s, "ids": ids, "decoded": tok.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)})
json.dump({"rows": rows}, open(out + "/marian_goldens.json", "w"), ensure_ascii=False)
os.rename(marian[0], out + "/source.spm")
os.remove(marian[1])
json.dump(goldens, open(out + "/goldens.json", "w"), ensure_ascii=False)
