package engine

import "sync"

// PhaseMeans are mean milliseconds per run of a pipeline.
type PhaseMeans struct {
	Preprocess  float64 `json:"preprocess"`
	Run         float64 `json:"run"`
	Postprocess float64 `json:"postprocess"`
}

// phaseSums add up where the time of runs went, also of those to warm up.
type phaseSums struct {
	mu  sync.Mutex // guards what follows
	n   int
	sum PhaseTimings
}

func (p *phaseSums) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.sum = 0, PhaseTimings{}
}

func (p *phaseSums) add(t PhaseTimings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	p.sum.Preprocess += t.Preprocess
	p.sum.Run += t.Run
	p.sum.Postprocess += t.Postprocess
}

// means returns nil if there was no run that told.
func (p *phaseSums) means() *PhaseMeans {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		return nil
	}
	n := float64(p.n)
	return &PhaseMeans{round3(p.sum.Preprocess / n), round3(p.sum.Run / n), round3(p.sum.Postprocess / n)}
}
