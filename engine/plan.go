package engine

import (
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// smallModel is the size in bytes of a model whose nodes are too little work to
// share among threads: waking one takes about as long as computing the node, so
// such a model is as fast on one thread and leaves the other cores to other
// calls. OpenVINO's threads wake faster, but a run of theirs waits for the one
// that something else keeps from its core.
const smallModel = 4 << 20

// threads is how many processor cores this process may keep busy.
func threads(h hardware.Host) int {
	n := min(h.CPU.Cores, h.CPU.Threads)
	if q := h.CPU.Quota; q != nil && *q < float64(n) {
		n = int(*q)
	}
	return max(n, 1)
}

// planThreads is how many threads one run of m gets on a device: what was
// found best, else all for a model that is not small.
func (e *Engine) planThreads(m *Model, c candidate) int {
	h, err := e.host()
	if err != nil {
		return 1
	}
	if p, ok := e.proofs.plan(c, m); ok {
		return min(p.Threads, threads(h))
	}
	if (c.Kind == hardware.CPU || c.Kind == hardware.OpenVINO) && m.bytes() < smallModel {
		return 1
	}
	return threads(h)
}

// planned is how many items a run on the device has best, 0 if that was not
// measured.
func (o *opened) planned() int {
	p, _ := o.e.proofs.plan(o.c, &o.m.Model)
	return p.BatchSize
}

// bytes is about what a session of the model takes: its weights once more.
func (m *Model) bytes() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}
