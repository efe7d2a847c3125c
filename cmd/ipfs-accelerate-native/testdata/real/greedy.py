"""Has Python's onnxruntime write the likeliest tokens, keeping what it remembers
between steps, and says how fast.

usage: greedy.py MODEL TOKENS END; each line of standard input is a JSON list of
the ids of a prompt, answered by a line {"ids", "seconds"}, the time that of
reading the prompt and writing.
"""
import json
import sys
import time

import numpy as np
import onnxruntime as ort

session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
count, end = int(sys.argv[2]), int(sys.argv[3])
pasts = [i for i in session.get_inputs() if i.name.startswith("past_key_values.")]
inputs = [i.name for i in session.get_inputs()]
outputs = ["logits"] + [p.name.replace("past_key_values", "present") for p in pasts]


def write(prompt):
    past = {p.name: np.zeros((1, p.shape[1], 0, p.shape[3]), np.float32) for p in pasts}
    ids, new, seen = prompt, [], 0
    while len(new) < count:
        n = len(ids)
        feed = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, seen + n), np.int64), "position_ids": np.arange(seen, seen + n)[None]}
        logits, *kept = session.run(outputs, {**{k: v for k, v in feed.items() if k in inputs}, **past})
        past, seen = dict(zip(past, kept)), seen + n
        ids = [int(logits[0, -1].argmax())]
        if ids[0] == end:
            break
        new += ids
    return new


for line in sys.stdin:
    prompt = json.loads(line)
    began = time.perf_counter()
    new = write(prompt)
    print(json.dumps({"ids": new, "seconds": time.perf_counter() - began}), flush=True)
