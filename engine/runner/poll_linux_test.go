package runner

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// pipes returns a stream and the far ends of it.
func pipes(t *testing.T) (near stream, in, out *os.File) {
	t.Helper()
	near, far, err := newStream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()   // it may be closed
		far[0].Close() // it may be closed
		far[1].Close() // it may be closed
	})
	return near, far[0], far[1]
}

// reading reads on until an error, as a client does.
func reading(s stream) (<-chan byte, <-chan error) {
	got, failed := make(chan byte), make(chan error, 1)
	go func() {
		for {
			b := make([]byte, 1)
			if _, err := s.Read(b); err != nil {
				failed <- err
				return
			}
			got <- b[0]
		}
	}()
	return got, failed
}

// What comes at any time before, while or after it was expected arrives, once
// and in order.
func TestStream_expect(t *testing.T) {
	near, in, out := pipes(t)
	got, failed := reading(near)
	go io.Copy(out, in) //nolint:errcheck // it ends with the pipes
	for i := range 2000 {
		if i%3 != 0 {
			near.Write([]byte{byte(i)}) //nolint:errcheck // nothing would arrive
		}
		near.Expect(time.Duration(i%50) * time.Microsecond)
		if i%3 == 0 { // later than it was expected
			near.Write([]byte{byte(i)}) //nolint:errcheck // nothing would arrive
		}
		select {
		case b := <-got:
			if b != byte(i) {
				t.Fatalf("%d arrived; want %d", b, byte(i))
			}
		case err := <-failed:
			t.Fatal(err)
		}
	}
	near.Close() // it ends the reading
	if err := <-failed; !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading ended with %v", err)
	}
}

// A read that Expect has ended goes on.
func TestStream_readGoesOn(t *testing.T) {
	near, _, out := pipes(t)
	if err := near.r.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	got, failed := reading(near)
	if _, err := out.Write([]byte{7}); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-got:
		if b != 7 {
			t.Errorf("got %d", b)
		}
	case err := <-failed:
		t.Fatal(err)
	}
	near.Close() // it ends the reading
	if err := <-failed; !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading ended with %v", err)
	}
}

// A pipe that ends while it is polled is at its end for who reads it, and one
// that is closed is closed.
func TestStream_endsWhileExpected(t *testing.T) {
	for range 200 {
		near, in, out := pipes(t)
		_, failed := reading(near)
		go out.Close() // it always works
		near.Expect(maxPoll)
		if err := <-failed; !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: %v", err)
		}
		in.Close() // it always works

		near, _, _ = pipes(t)
		_, failed = reading(near)
		go near.Close() // it always works
		near.Expect(maxPoll)
		if err := <-failed; !errors.Is(err, os.ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
		near.Expect(maxPoll)
	}
}
