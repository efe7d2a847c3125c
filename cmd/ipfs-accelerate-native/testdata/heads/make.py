"""Makes small models with heads, their weights random, and what the pipelines of
transformers answer with them.

Made with torch 1.13.0a0 (Debian's python3-torch), transformers 4.40.2 and
tokenizers 0.19.1 on CPU; usage: make.py OUT, where this file lies. The weights
follow from the seed, so that the same versions make the same files.
"""
import json
import os
import sys

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (BertConfig, BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification,
                          BertForTokenClassification, PreTrainedTokenizerFast, pipeline)

out = sys.argv[1]
letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
words = """the a of to in is was and on at by for with paris london john smith anna works lives capital france england city river big
small good bad great film movie music red blue house who what where when does did answer question text label sport politics science
example this that it he she they we you i not no yes new old first last ##s ##ed ##ing ##er ##ly ##tion""".split()
vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(letters) + ["##" + c for c in letters[:36]] + [w for w in words if len(w) > 1]
vocab = list(dict.fromkeys(vocab))


def tokenizer():
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocab)}, unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(tokenizer_object=t, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
                                   mask_token="[MASK]", model_max_length=64)


def make(name, cls, outputs, labels=None, **more):
    torch.manual_seed(20261123)
    config = BertConfig(vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                        max_position_embeddings=64, initializer_range=0.6, **more)
    if labels:
        config.id2label, config.label2id = dict(enumerate(labels)), {x: i for i, x in enumerate(labels)}
    model = cls(config).eval()
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    tok = tokenizer()
    tok._tokenizer.save(folder + "/tokenizer.json")
    config.architectures = [cls.__name__]
    config.save_pretrained(folder)
    given = tok("a b", return_tensors="pt", return_token_type_ids=True)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {n: {0: "batch", 1: "sequence"} for n in names}
    axes.update({o: {0: "batch"} if len(labels or "") and cls is BertForSequenceClassification else {0: "batch", 1: "sequence"} for o in outputs})
    torch.onnx.export(model, tuple(given[n] for n in names), folder + "/model.onnx", input_names=names, output_names=outputs,
                      dynamic_axes=axes, opset_version=14, do_constant_folding=True)
    return model, tok


def ask(name, task, model, tok, inputs, cases, **fixed):
    p = pipeline(task, model=model, tokenizer=tok, device=-1)
    found = []
    for parameters in cases:
        answers = []
        for i in inputs:
            a = p(**i, **parameters, **fixed) if isinstance(i, dict) and task == "question-answering" else p(i, **parameters, **fixed)
            answers.append(json.loads(json.dumps(a, default=float)))
        found.append({"parameters": parameters, "answers": answers})
    return {"model": name, "task": task, "inputs": inputs, "cases": found}


TEXTS = ["The film was great!", "John Smith lives in Paris, the capital of France.", "bad", "Anna's works: 42 houses... naïve? Zürich 机器",
         "she worked quickly and nicely by the big blue river in london with 12 johns and no films at all, yes"]
goldens = []
seq = make("sentiment", BertForSequenceClassification, ["logits"], ["NEGATIVE", "NEUTRAL", "POSITIVE"])
goldens.append(ask("sentiment", "text-classification", *seq, TEXTS, [{}, {"top_k": 2}, {"top_k": None}, {"top_k": None, "function_to_apply": "sigmoid"}, {"function_to_apply": "none"}]))
multi = make("topics", BertForSequenceClassification, ["logits"], ["sport", "politics"], problem_type="multi_label_classification")
goldens.append(ask("topics", "text-classification", *multi, TEXTS, [{"top_k": None}]))
nli = make("nli", BertForSequenceClassification, ["logits"], ["contradiction", "neutral", "entailment"])
labels = ["sport", "politics", "science"]
goldens.append(ask("nli", "zero-shot-classification", *nli, TEXTS, [
    {"candidate_labels": labels}, {"candidate_labels": labels, "multi_label": True}, {"candidate_labels": ["music"], "hypothesis_template": "this is {} !"}]))
ner = make("ner", BertForTokenClassification, ["logits"], ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
goldens.append(ask("ner", "token-classification", *ner, TEXTS, [{"aggregation_strategy": s} for s in ("none", "simple", "first", "average", "max")]))
mlm = make("mask", BertForMaskedLM, ["logits"])
goldens.append(ask("mask", "fill-mask", *mlm, ["The [MASK] was great!", "[MASK] lives in Paris.", "john is [MASK]"], [{}, {"top_k": 2}, {"targets": ["paris", "red"]}]))
qa = make("answers", BertForQuestionAnswering, ["start_logits", "end_logits"])
CONTEXT = "John Smith works in London. Anna lives in Paris, the capital of France, by the big river. It was a good film; naïve Zürich."
goldens.append(ask("answers", "question-answering", *qa, [
    {"question": "Who lives in Paris?", "context": CONTEXT}, {"question": "what city", "context": " ".join([CONTEXT] * 4)}, {"question": "where?", "context": "paris is big"}],
    [{}, {"top_k": 3}, {"max_answer_len": 3}, {"handle_impossible_answer": True, "top_k": 2}, {"max_seq_len": 32, "doc_stride": 8}]))
rank = make("rank", BertForSequenceClassification, ["logits"], ["LABEL_0"])
with torch.no_grad():
    scores = [float(torch.sigmoid(rank[0](**rank[1]("who lives in paris", d, return_tensors="pt", return_token_type_ids=True)).logits)[0, 0]) for d in TEXTS]
goldens.append({"model": "rank", "task": "text-ranking", "inputs": TEXTS, "cases": [{"parameters": {"query": "who lives in paris"}, "answers": [{"score": s} for s in scores]}]})
json.dump(goldens, open(os.path.join(out, "goldens.json"), "w"), indent=1, ensure_ascii=False)
