package ipfsstore

import "sync"

// A meter counts verified bytes for a caller's Progress func.
type meter struct {
	mu sync.Mutex // guards all below; held while fn is called
	fn func(Progress)
	p  Progress
}

func newMeter(fn func(Progress), phase string, total int64) *meter {
	return &meter{fn: fn, p: Progress{Total: total, Phase: phase}}
}

// add counts bytes; a nil meter counts nothing.
func (m *meter) add(n int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Done += n
	m.show()
}

// phase begins another phase; a total of zero leaves the total as it is.
func (m *meter) phase(name string, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.p.Phase = name; total > 0 {
		m.p.Total = total
	}
	m.show()
}

func (m *meter) show() {
	if m.fn != nil {
		m.fn(m.p)
	}
}
