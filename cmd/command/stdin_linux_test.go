package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe that blocks becomes one that can be waited for, with what was in it and
// its end.
func TestPollable(t *testing.T) {
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	defer r.Close()
	if _, err := w.WriteString("before "); err != nil {
		t.Fatal(err)
	}
	if r.SetReadDeadline(time.Time{}) == nil {
		t.Fatal("a pipe that blocks has deadlines")
	}
	in, ok := pollable(r).(*os.File)
	if !ok || in == r {
		t.Fatal("the pipe was not opened anew")
	}
	defer in.Close()
	if err := in.SetReadDeadline(time.Time{}); err != nil {
		t.Errorf("it can't be waited for: %v", err)
	}
	go func() {
		w.WriteString("after") //nolint:errcheck // the test reads it
		w.Close()
	}()
	if got, err := io.ReadAll(in); string(got) != "before after" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestPollable_noPipe(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, in := range []io.Reader{f, strings.NewReader("")} {
		if pollable(in) != in {
			t.Errorf("%T was replaced", in)
		}
	}
}
