"""Times the tokenizers library for Rust on one thread.

usage: speed.py TEXTS FILE...

Prints for each tokenizer.json the seconds to load it, and those to encode the
texts one by one, without offsets.
"""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

texts = json.load(open(sys.argv[1]))
for path in sys.argv[2:]:
    start = time.perf_counter()
    t = Tokenizer.from_file(path)
    loaded = time.perf_counter()
    for s in texts:
        t.encode_batch_fast([s])
    print(loaded - start, time.perf_counter() - loaded)
