//go:build figures && linux

package ipfsstore_test

import "testing"

// TestFigures prints the figures of `make bench`. They are printed, never
// asserted.
func TestFigures(t *testing.T) {
	p3(t)
	p4s(t)
}
