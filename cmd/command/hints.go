package command

import (
	"regexp"
	"strings"
)

// inShell turns what a hint says of tools, which is how an agent would follow
// it, into what one types in a shell.
func inShell(hint string) string {
	hint = runOf.ReplaceAllString(hint, "ipfs-accelerate query --run $1")
	return toShell.Replace(hint)
}

var runOf = regexp.MustCompile(`query_results \{"run_id":"?([^"}]*)"?\}`)

// toShell has the longer of two phrases first: the first that fits is taken.
var toShell = strings.NewReplacer(
	`query_results {} lists`, `ipfs-accelerate query lists`,
	`query_results {"report":"compare"}`, `ipfs-accelerate query --report compare`,
	`query_results`, `ipfs-accelerate query`,
	`detect_hardware {"refresh":true}`, `ipfs-accelerate detect --refresh`,
	`detect_hardware`, `ipfs-accelerate detect`,
	`run_benchmark`, `ipfs-accelerate bench`,
	`run_inference`, `ipfs-accelerate infer`,
	`call fetch_model_cid`, `call ipfs-accelerate models fetch`,
	`read models:// for what is here`, `see ipfs-accelerate models list`,
	`a name from models://`, `a name of ipfs-accelerate models list`,
	`models://`, `ipfs-accelerate models list`,
	`pass "model": `, `name the model: `,
	`pass "parameters": {"latency_bound_ms": 20}`, `pass --latency-bound 20ms`,
	`{"rate_per_s": 50}`, `--rate 50`,
	`pass "parameters": {"dataset": "PATH.jsonl"}`, `pass --dataset PATH.jsonl`,
	`for text pass "inputs": ["some text"]`, `pass a text or a file as an argument`,
	`pass "inputs"`, `pass inputs as arguments`,
	`name the "task"`, `name the --task`, `leave "task" out`, `leave --task out`,
	`pass raw "tensors"`, `pass raw tensors with --tensor`,
	`batch_sizes [1]`, `--batch 1`,
	`precision auto`, `--precision auto`, `precision int8`, `--precision int8`,
	`allow more time, or use mode async`, `allow more time with --timeout`,
	`leave output_file out`, `leave --output-file out`,
	`name another source in "sources"`, `name another --source`,
	`raise max_bytes, or name only the files you need in "files"`, `raise --max-bytes, or name only the files you need with --files`,
	`report runs lists them`, `ipfs-accelerate query lists them`,
)
