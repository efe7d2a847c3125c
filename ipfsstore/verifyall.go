package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Verify hashes all files of a model again. Wrong bytes are a
// [ModelChangedError]; the file is then no longer part of the store.
func (s *Store) Verify(ctx context.Context, ref string) error {
	r, err := ParseRef(ref)
	if err != nil {
		return err
	}
	_, rec, err := s.lookup(r)
	if err != nil {
		return err
	}
	return s.inspect(ctx, rec.Root, inspection{part: 1})
}

func (s *Store) inspect(ctx context.Context, root string, in inspection) error {
	unlock, err := s.lockRoot(ctx, root)
	if err != nil {
		return err
	}
	defer unlock()
	return s.recheckLocked(ctx, root, in)
}

// VerifyOptions say what is hashed again.
type VerifyOptions struct {
	Refs     []string       // models; none are all
	Sample   float64        // percent of each file's leaves, chosen at random, at least one; 0 and 100 are all
	Repair   bool           // fetch files with wrong bytes again, from the store's sources
	Progress func(Progress) // called for each leaf hashed; never concurrently
}

// A Verified is what was found of one model.
type Verified struct {
	Root     string
	Name     string // see [Artifact]
	Err      error  // nil: its bytes are right; [ModelChangedError]; or what kept it from being found out
	Repaired bool   // they were wrong and are right now
	Complete bool   // see [Artifact]: only what is here is looked at
}

// VerifyAll hashes models again, several at once, and returns what it found, in
// the order of [Store.List] or of o.Refs. Its own errors are those of the
// references, [ErrInvalidRef] for a sample out of range, and the context's.
func (s *Store) VerifyAll(ctx context.Context, o VerifyOptions) ([]Verified, error) {
	if math.IsNaN(o.Sample) || o.Sample < 0 || o.Sample > 100 {
		return nil, fmt.Errorf("%w: a sample of %v percent", ErrInvalidRef, o.Sample)
	}
	in := inspection{part: 1}
	if o.Sample > 0 {
		in.part = o.Sample / 100
	}
	models, total, err := s.toVerify(ctx, o.Refs)
	if err != nil {
		return nil, err
	}
	in.meter = newMeter(o.Progress, "verify", int64(in.part*float64(total)))
	out := make([]Verified, len(models))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(hashers())
	for i, a := range models {
		g.Go(func() error {
			out[i] = s.verifyOne(gctx, a, in, o.Repair)
			return gctx.Err()
		})
	}
	return out, g.Wait()
}

// toVerify finds the models and the sum of their bytes.
func (s *Store) toVerify(ctx context.Context, refs []string) ([]Artifact, int64, error) {
	var models []Artifact
	var err error
	if len(refs) == 0 {
		if models, err = s.List(ctx); err != nil {
			return nil, 0, err
		}
	}
	for _, ref := range refs {
		a, err := s.Info(ctx, ref)
		if err != nil {
			return nil, 0, err
		}
		models = append(models, a)
	}
	var total int64
	for _, a := range models {
		total += a.Bytes
	}
	return models, total, nil
}

func (s *Store) verifyOne(ctx context.Context, a Artifact, in inspection, repair bool) Verified {
	v := Verified{Root: a.Root, Name: a.Name, Err: s.inspect(ctx, a.Root, in)}
	if repair && errors.Is(v.Err, ErrModelChanged) {
		if err := s.repair(ctx, a.Root); err != nil {
			v.Err = fmt.Errorf("%w; it can't be repaired: %w", v.Err, err)
			return v
		}
		v.Err, v.Repaired = nil, true
	}
	if now, err := s.Info(ctx, a.Root); err == nil {
		v.Complete = now.Complete
	}
	return v
}

// repair fetches the files of a root again whose bytes were found to be wrong,
// and no others: not all of them may have been wanted.
func (s *Store) repair(ctx context.Context, root string) error {
	c, err := s.snapshot()
	if err != nil {
		return err
	}
	rec := c.roots[root]
	if rec == nil {
		return fmt.Errorf("model %s: %w", root, ErrNotFound)
	}
	o := FetchOptions{}
	for _, name := range rec.Changed {
		if !rec.Single {
			o.Files = append(o.Files, literal.Replace(name))
		}
	}
	if _, err := s.Fetch(ctx, root, o); err != nil {
		return err
	}
	_, err = s.Open(ctx, root)
	return err
}

// literal makes a pattern of a file's name that matches nothing else.
var literal = strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]")

// sample chooses what of a file's chunks is hashed.
func (in inspection) sample(all []chunk) []chunk {
	if in.part >= 1 || len(all) < 2 {
		return all
	}
	n := max(1, int(math.Ceil(in.part*float64(len(all)))))
	picked := make([]chunk, 0, n)
	for _, i := range rand.Perm(len(all))[:n] { //nolint:gosec // nobody gains by guessing it
		picked = append(picked, all[i])
	}
	slices.SortFunc(picked, func(a, b chunk) int { return int(min(1, max(-1, a.off-b.off))) })
	return picked
}
