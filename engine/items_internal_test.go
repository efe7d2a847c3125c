package engine

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// What is larger than may be read is an error, not cut short.
func TestCapped(t *testing.T) {
	for size, want := range map[int]error{3: nil, 4: nil, 5: ErrTooLarge} {
		got, err := io.ReadAll(&capped{strings.NewReader(strings.Repeat("x", size)), 4, "picture"})
		if !errors.Is(err, want) || len(got) != min(size, 4) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
	}
}
