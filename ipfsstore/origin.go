package ipfsstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's name for a blob: how origins list small files
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
)

// An Origin is a place that has models by name, such as a hub: files with names,
// sizes and hashes, at a revision. What comes from it gets a CID when it comes
// in. Nothing is asked of an origin unless a caller names a model by its scheme;
// from then on it also serves that model's lost blocks.
//
// It is never believed: what it delivers is hashed. Its methods may be called
// concurrently. Package storetest has the suite that each must pass.
type Origin interface {
	// Name is what the origin is called in statistics and errors.
	Name() string

	// Scheme begins the references it knows, without "://".
	Scheme() string

	// Canonical checks a reference (without scheme) and completes it, without
	// asking anyone. fixed says that it means the same for ever. A reference
	// that makes no sense is [ErrInvalidRef].
	Canonical(ref string) (full string, fixed bool, err error)

	// Resolve finds what a reference means now. What is not there is
	// [ErrNotFound], what the caller may not have [ErrDenied], and if nobody
	// may be asked [ErrOffline].
	Resolve(ctx context.Context, ref string) (Snapshot, error)

	// Read opens n bytes of a file from off on, all of which are there by what
	// Resolve said. Too few bytes are an [io.ErrUnexpectedEOF] of the reader,
	// which the caller closes; more are cut off. ref is a Snapshot's. Its
	// errors are those of Resolve.
	Read(ctx context.Context, ref, file string, off, n int64) (io.ReadCloser, error)
}

// A Snapshot is a model of an origin at one revision.
type Snapshot struct {
	Ref   string // canonical and fixed, without scheme, such as ORG/NAME@COMMIT
	Name  string // a catalogue name for it
	Files []OriginFile
}

// An OriginFile is one of its files. One of the hashes is set.
type OriginFile struct {
	Name   string // slash-separated
	Bytes  int64
	SHA256 string // in lower-case hex
	Git    string // git's sha1 of a blob, in lower-case hex
}

// key is how the file's content is known: by its hash.
func (f OriginFile) key() string {
	if f.SHA256 != "" {
		return f.SHA256
	}
	return f.Git
}

// hash begins the hash that key is to be compared with.
func (f OriginFile) hash() hash.Hash {
	if f.SHA256 != "" {
		return sha256.New()
	}
	h := sha1.New() //nolint:gosec // as above
	fmt.Fprintf(h, "blob %d\x00", f.Bytes)
	return h
}

// check refuses what could not be stored, whatever the origin says.
func (s Snapshot) check() error {
	if len(s.Files) > maxEntries {
		return fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
	}
	seen := make(map[string]bool, len(s.Files))
	for _, f := range s.Files {
		parts := strings.Split(f.Name, "/")
		if len(parts) > maxDepth {
			return fmt.Errorf("%w: %q is more than %d levels deep", ErrTooLarge, f.Name, maxDepth)
		}
		for _, p := range parts {
			if err := checkFileName(p); err != nil {
				return err
			}
		}
		if f.Bytes < 0 || f.Bytes > maxFileSize {
			return fmt.Errorf("%w: %q of %d bytes, which is more than %d", ErrTooLarge, f.Name, f.Bytes, int64(maxFileSize))
		}
		if !hexName.MatchString(f.key()) || (f.SHA256 == "") != (len(f.key()) == sha1.Size*2) {
			return fmt.Errorf("%w: %q has no hash to be checked by", ErrInvalidDAG, f.Name)
		}
		if seen[f.Name] {
			return fmt.Errorf("%w: two files are called %q", ErrInvalidDAG, f.Name)
		}
		seen[f.Name] = true
	}
	for name := range seen {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return fmt.Errorf("%w: %q is a file and a folder", ErrInvalidDAG, dir)
			}
		}
	}
	return nil
}

// originOf finds the origin of a reference.
func (s *Store) originOf(ref string) (o Origin, rest string, ok bool) {
	scheme, rest, ok := strings.Cut(ref, "://")
	if !ok {
		return nil, "", false
	}
	i := slices.IndexFunc(s.origins, func(o Origin) bool { return o.Scheme() == scheme })
	if i < 0 {
		return nil, "", false
	}
	return s.origins[i], rest, true
}

// Resolve asks an origin what a reference such as hf://ORG/NAME means now, and
// returns it as [Artifact] has it in Origin.
func (s *Store) Resolve(ctx context.Context, ref string) (string, error) {
	o, rest, ok := s.originOf(ref)
	if !ok {
		return "", fmt.Errorf("%w %q: it names no origin", ErrInvalidRef, ref)
	}
	snap, err := o.Resolve(ctx, rest)
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", ref, err)
	}
	return o.Scheme() + "://" + snap.Ref, nil
}
