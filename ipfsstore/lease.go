package ipfsstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/gofrs/flock"
	"github.com/ipfs/go-cid"
)

// Lease keeps a model from being removed while a program has it open: [Store.GC]
// leaves it alone, in this process and in all others, until release is called
// or the process ends. model is an [Artifact]'s Model.
//
// Its errors are [ErrNotFound] and [ErrInvalidRef].
func (s *Store) Lease(ctx context.Context, model string) (release func(), err error) {
	if c, err := cid.Decode(model); err != nil || rootKey(c) != model {
		return nil, fmt.Errorf("lease %q: %w", model, ErrInvalidRef)
	}
	l := flock.New(s.leaseFile(model), flock.SetPermissions(0o600))
	if ok, err := l.TryRLockContext(ctx, lockPoll); err != nil || !ok {
		return nil, fmt.Errorf("lease %s: %w", model, diskFull(err))
	}
	release = sync.OnceFunc(func() { _ = l.Close() })
	c, err := s.snapshot() // after the lock: whoever removes it holds that too
	if err == nil && c.roots[model] == nil {
		err = fmt.Errorf("model %s: %w", model, ErrNotFound)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (s *Store) leaseFile(root string) string { return s.path("locks", root+".lease") }

// seize takes both locks of a root without waiting, for its removal: nobody has
// it open, fetches it or checks it then.
func (s *Store) seize(root string) (release func(), err error) {
	unlease, err := tryAcquire(s.leaseFile(root))
	if err != nil {
		return nil, err
	}
	unlock, err := tryAcquire(s.path("locks", root))
	if err != nil {
		unlease()
		return nil, err
	}
	return func() { unlock(); unlease() }, nil
}
