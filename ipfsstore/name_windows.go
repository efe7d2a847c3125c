package ipfsstore

import (
	"fmt"
	"path/filepath"
	"strings"
)

// checkLocalName refuses names that this system gives another meaning:
// devices, streams, and those whose end it would cut off.
func checkLocalName(name string) error {
	if !filepath.IsLocal(name) || strings.ContainsAny(name, `<>:"|?*`) || strings.TrimRight(name, ". ") != name {
		return fmt.Errorf("%w: file name %q can't be used on Windows", ErrInvalidDAG, name)
	}
	return nil
}
