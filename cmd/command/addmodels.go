package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// addModels adds the models that come with an installation: each folder of
// dir, under its name. A name that is taken stays what it is, for a user may
// have given it. A model that can't be added is logged and left out. An empty
// dir is none.
func (a *app) addModels(ctx context.Context, dir string) error {
	if dir == "" {
		return nil
	}
	folders, err := os.ReadDir(dir)
	if err != nil {
		return usageError{fmt.Errorf("--add-models: %w", err)}
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		if _, err := a.store.Open(ctx, f.Name()); !errors.Is(err, ipfsstore.ErrNotFound) {
			continue
		}
		if _, err := a.store.Add(ctx, filepath.Join(dir, f.Name()), ipfsstore.AddOptions{Name: f.Name(), Pin: true}); err != nil {
			a.log.WarnContext(ctx, "a model can't be added", "model", f.Name(), "error", err)
		}
	}
	return nil
}
