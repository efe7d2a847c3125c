package wire

import (
	"testing"
	"time"
)

// paused counts the runs that are not expected.
func paused(p *pace) (n int) {
	for ; p.next() == 0; n++ {
		p.ran(near, near, 0)
	}
	return n
}

func TestPace(t *testing.T) {
	var p pace
	if d := p.next(); d != 0 {
		t.Errorf("the first run is expected for %v", d)
	}
	p.ran(near+1, near+1, 0)
	if d := p.next(); d != 0 {
		t.Errorf("a long run is expected for %v", d)
	}
	p.ran(near, time.Hour, 0) // whatever it took: it was not expected
	if d := p.next(); d != near+onTheWay {
		t.Errorf("a short run is expected for %v", d)
	}
	for _, want := range []int{minPause, 2 * minPause, 4 * minPause} {
		p.ran(near, near+overdue+1, near)
		if n := paused(&p); n != want {
			t.Errorf("%d runs were not expected; want %d", n, want)
		}
	}
	for range 4 * minPause {
		p.ran(near, near, near)
	}
	p.ran(near, near+overdue+1, near)
	if n := paused(&p); n != minPause {
		t.Errorf("%d runs were not expected once answers had come in time; want %d", n, minPause)
	}
	for range 10 {
		p.ran(near, near+overdue+1, near)
	}
	if n := paused(&p); n != maxPause {
		t.Errorf("%d runs were not expected at most; want %d", n, maxPause)
	}
}
