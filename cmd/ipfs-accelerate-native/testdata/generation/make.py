"""Makes a small model that generates text, its weights random, and what
transformers generates with it; and what transformers makes of chat templates.

Made with torch 1.13.0a0 (Debian's python3-torch), transformers 4.40.2 and
tokenizers 0.19.1 and onnx 1.16.2 on CPU; usage: make.py OUT, where this file lies; the probabilities
go to the tests of engine/tasks. The weights
follow from the seed, so that the same versions make the same files.
"""
import json
import os
import sys

import torch
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../rewriting")
from merged import merge
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.generation.logits_process import (LogitsProcessorList, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                                                    TopKLogitsWarper, TopPLogitsWarper)

out = sys.argv[1]
text = """The river runs through the old city, and in the evening the light lies on the water like glass. Anna walks over the bridge
and thinks of Paris. "Where do you go?" he asks. Naïve café déjà vu — 日本語 and emoji 🍕 too. 3.14 is less than 42."""
template = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are helpful<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] | trim + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

raw = Tokenizer(models.BPE())
raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
raw.decoder = decoders.ByteLevel()
raw.train_from_iterator([text], trainers.BpeTrainer(vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                                    special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"]))
tok = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|endoftext|>", eos_token="<|im_end|>", chat_template=template)

torch.manual_seed(20261123)
config = GPT2Config(vocab_size=len(tok), n_positions=96, n_embd=24, n_layer=2, n_head=4, initializer_range=0.35, bos_token_id=0, eos_token_id=2)
model = GPT2LMHeadModel(config).eval()


class First(torch.nn.Module):
    """The first step."""

    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids):
        o = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, use_cache=True)
        return (o.logits, *(x for pair in o.past_key_values for x in pair))


class Step(torch.nn.Module):
    """One step, with what it remembers flat."""

    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        pairs = tuple(zip(past[0::2], past[1::2]))
        o = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, past_key_values=pairs, use_cache=True)
        return (o.logits, *(x for pair in o.past_key_values for x in pair))


os.makedirs(out + "/gpt2", exist_ok=True)
pasts = [f"past_key_values.{i}.{n}" for i in range(config.n_layer) for n in ("key", "value")]
presents = [p.replace("past_key_values", "present") for p in pasts]
axes = {"input_ids": {0: "batch", 1: "sequence"}, "position_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "total"},
        "logits": {0: "batch", 1: "sequence"}}
axes.update({p: {0: "batch", 2: "past"} for p in pasts})
axes.update({p: {0: "batch", 2: "total"} for p in presents})
past = [torch.rand(1, 4, 3, 6) for _ in pasts]
torch.onnx.export(Step().eval(), (torch.tensor([[1, 2]]), torch.ones(1, 5, dtype=torch.long), torch.tensor([[3, 4]]), *past), out + "/gpt2/model.onnx",
                  input_names=["input_ids", "attention_mask", "position_ids", *pasts], output_names=["logits", *presents],
                  dynamic_axes=axes, opset_version=14)
os.makedirs(out + "/merged", exist_ok=True)
torch.onnx.export(First().eval(), (torch.tensor([[1, 2]]), torch.ones(1, 2, dtype=torch.long), torch.tensor([[0, 1]])), out + "/merged/first.onnx",
                  input_names=["input_ids", "attention_mask", "position_ids"], output_names=["logits", *presents],
                  dynamic_axes={k: v for k, v in axes.items() if k not in pasts}, opset_version=14)
merge(out + "/merged/first.onnx", out + "/gpt2/model.onnx", out + "/merged/decoder_model_merged.onnx")
os.remove(out + "/merged/first.onnx")
config.architectures = ["GPT2LMHeadModel"]
for folder in (out + "/gpt2", out + "/merged"):
    raw.save(folder + "/tokenizer.json")
    config.save_pretrained(folder)
    json.dump({"chat_template": template, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}, open(folder + "/tokenizer_config.json", "w"), indent=1)
    json.dump({"eos_token_id": [2], "bos_token_id": 0}, open(folder + "/generation_config.json", "w"))

goldens = {"greedy": [], "warped": [], "chats": []}
for prompt, penalty in (("The river", 1.0), ("Anna walks over", 1.0), ("Naïve café 🍕", 1.0), ("Where do you go?", 1.3), ("3.14", 1.1)):
    ids = tok(prompt, return_tensors="pt").input_ids
    got = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, repetition_penalty=penalty, pad_token_id=0)
    new = got[0, ids.shape[1]:].tolist()
    goldens["greedy"].append({"prompt": prompt, "repetition_penalty": penalty, "ids": new, "text": tok.decode(new, skip_special_tokens=True)})

torch.manual_seed(7)
for case in ({"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.8}, {"temperature": 1.5, "top_k": 20, "top_p": 0.6}, {"repetition_penalty": 1.4, "top_p": 0.9}):
    logits, seen = torch.randn(1, 40) * 3, torch.tensor([[3, 7, 7, 11]])
    steps = LogitsProcessorList()
    if "repetition_penalty" in case:
        steps.append(RepetitionPenaltyLogitsProcessor(case["repetition_penalty"]))
    if "temperature" in case:
        steps.append(TemperatureLogitsWarper(case["temperature"]))
    if "top_k" in case:
        steps.append(TopKLogitsWarper(case["top_k"]))
    if "top_p" in case:
        steps.append(TopPLogitsWarper(case["top_p"]))
    probs = torch.softmax(steps(seen, logits.clone()), -1)
    goldens["warped"].append({"parameters": case, "logits": logits[0].tolist(), "seen": seen[0].tolist(), "probs": probs[0].tolist()})

llama3 = """{{- bos_token }}{%- for message in messages %}{%- if message.role not in ['system', 'user', 'assistant'] %}{{- raise_exception('bad role') }}{%- endif %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""
mistral = """{%- set ns = namespace(system='') %}{%- for m in messages %}{%- if m['role'] == 'system' %}{%- set ns.system = m['content'] %}{%- endif %}{%- endfor %}
{{- bos_token }}
{%- for m in messages if m['role'] != 'system' %}
    {%- if m['role'] == 'user' %}
        {{- '[INST] ' + (ns.system + '\\n\\n' if ns.system and loop.last else '') + m['content'] + ' [/INST]' }}
    {%- else %}
        {{- ' ' + m['content'] + eos_token }}
    {%- endif %}
{%- endfor %}
{{- {'n': messages | length} | tojson }}"""
chats = [[{"role": "user", "content": " What is the capital of France? "}],
         [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi 🍕"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Say <b>\"more\"</b>\n\nnow"}]]
for t in (template, llama3, mistral):
    for messages in chats:
        goldens["chats"].append({"template": t, "messages": messages, "text": tok.apply_chat_template(messages, chat_template=t, tokenize=False, add_generation_prompt=True)})
warped = goldens.pop("warped")
json.dump(warped, open(out + "/../../../../engine/tasks/testdata/warped.json", "w"), indent=1)
json.dump(goldens, open(out + "/goldens.json", "w"), ensure_ascii=False, indent=1)
