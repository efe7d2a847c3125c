"""Makes small models of tables, and what scikit-learn answers with them.

Made with what requirements.txt names; usage: make.py OUT, where this file lies.
"""
import json
import os
import sys

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

out = sys.argv[1]
rng = np.random.default_rng(20261123)
n = 200
table = pd.DataFrame({
    "animal": rng.choice(["cat", "dog", "fox"], n), "weight": rng.normal(5, 2, n).astype(np.float32), "age": rng.integers(0, 15, n).astype(np.int64)})
kind = np.where(table.animal == "cat", "house", np.where(table.weight > 5, "yard", "wood"))
price = (table.weight * 3 + table.age * 0.5 + (table.animal == "fox") * 7).to_numpy(np.float32)
columns = lambda: ColumnTransformer([("names", OneHotEncoder(), ["animal"]), ("numbers", StandardScaler(), ["weight", "age"])])
ROWS = [{"animal": "cat", "weight": 4.5, "age": 3}, {"animal": "fox", "weight": 7.25, "age": 1}, {"animal": "dog", "weight": 5.0, "age": 14}]
rows = pd.DataFrame(ROWS).astype({"weight": np.float32})
goldens = []


def save(name, model, given, **more):
    os.makedirs(f"{out}/{name}", exist_ok=True)
    with open(f"{out}/{name}/model.onnx", "wb") as f:
        f.write(to_onnx(model, given, target_opset=17, **more).SerializeToString())


classes = lambda m, x: [[{"label": str(label), "score": float(max(p))}] for label, p in zip(m.predict(x), m.predict_proba(x))]
m = make_pipeline(columns(), LogisticRegression(max_iter=1000)).fit(table, kind)
save("named", m, table[:1], options={"zipmap": False})
goldens.append({"model": "named", "task": "tabular-classification", "inputs": ROWS, "cases": [{"parameters": {}, "answers": classes(m, rows)}]})
m = make_pipeline(columns(), LinearRegression()).fit(table, price)
save("price", m, table[:1])
goldens.append({"model": "price", "task": "tabular-regression", "inputs": ROWS, "cases": [{"parameters": {}, "answers": [[{"score": float(v)}] for v in m.predict(rows)]}]})
numbers = table[["weight", "age"]].to_numpy(np.float32)
m = RandomForestClassifier(5, max_depth=3, random_state=1).fit(numbers, (table.weight > 5).astype(int))
save("forest", m, numbers[:1], options={"zipmap": False})
with open(f"{out}/forest/config.json", "w") as f:
    json.dump({"sklearn": {"task": "tabular-classification", "columns": ["weight", "age"]}}, f)
few = [{k: r[k] for k in ("weight", "age")} for r in ROWS]
goldens.append({"model": "forest", "task": "tabular-classification", "inputs": few, "cases": [{"parameters": {}, "answers": classes(m, rows[["weight", "age"]].to_numpy(np.float32))}]})
# As skl2onnx writes classifiers by itself: the probabilities are maps.
m = make_pipeline(columns(), LogisticRegression(max_iter=1000)).fit(table, kind)
save("maps", m, table[:1])
goldens.append({"model": "maps", "task": "tabular-classification", "inputs": ROWS, "cases": [{"parameters": {}, "answers": classes(m, rows)}]})
m = RandomForestClassifier(5, max_depth=3, random_state=1).fit(numbers, (table.weight > 5).astype(int) + 3)
save("numbered", m, numbers[:1])
with open(f"{out}/numbered/config.json", "w") as f:
    json.dump({"sklearn": {"task": "tabular-classification", "columns": ["weight", "age"]}}, f)
goldens.append({"model": "numbered", "task": "tabular-classification", "inputs": few, "cases": [{"parameters": {}, "answers": classes(m, rows[["weight", "age"]].to_numpy(np.float32))}]})

# Texts in and out, and sequences of tensors.
value = helper.make_tensor_value_info
texts = helper.make_tensor_sequence_value_info
nodes = [helper.make_node("LabelEncoder", ["word"], ["number"], domain="ai.onnx.ml", keys_strings=["cat", "fox"], values_int64s=[3, 5], default_int64=-1),
         helper.make_node("LabelEncoder", ["number"], ["plural"], domain="ai.onnx.ml", keys_int64s=[3, 5], values_strings=["cats", "foxes"], default_string="?"),
         helper.make_node("SequenceConstruct", ["word", "plural"], ["both"]), helper.make_node("SequenceConstruct", ["number", "number", "number"], ["thrice"])]
graph = helper.make_graph(nodes, "words", [value("word", TensorProto.STRING, ["n"])],
                          [value("plural", TensorProto.STRING, ["n"]), texts("both", TensorProto.STRING, None), texts("thrice", TensorProto.INT64, None)])
os.makedirs(f"{out}/words", exist_ok=True)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8), f"{out}/words/model.onnx")

with open(f"{out}/goldens.json", "w") as f:
    json.dump(goldens, f, indent=1)
