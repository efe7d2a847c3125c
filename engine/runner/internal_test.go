package runner

import (
	"strings"
	"testing"
	"time"
)

func TestBackOff(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		0: 0, 1: 0, 2: 100 * time.Millisecond, 3: 200 * time.Millisecond, 5: 800 * time.Millisecond,
		9: 10 * time.Second, 1000: 10 * time.Second,
	} {
		if got := backOff(failures); got != want {
			t.Errorf("after %d failures: %v; want %v", failures, got, want)
		}
	}
}

func TestTail(t *testing.T) {
	var k tail
	for _, s := range []string{"first\n", strings.Repeat("x", maxTail-3), "\nend"} {
		if n, err := k.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	got := k.String()
	if len(got) != maxTail || !strings.HasSuffix(got, "x\nend") || strings.Contains(got, "first") {
		t.Errorf("kept %d bytes that end in %q", len(got), got[len(got)-10:])
	}
	if lastLine(got) != "end" || lastLine("") != "" {
		t.Errorf("last line is %q", lastLine(got))
	}
	k = tail{}
	k.Write([]byte(strings.Repeat("y", 3*maxTail))) //nolint:errcheck // it never fails
	if got := k.String(); len(got) != maxTail {
		t.Errorf("kept %d bytes", len(got))
	}
}
