package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"
)

// AddOptions say how something is added. The zero value will do.
type AddOptions struct {
	Name      string   // a catalogue name for it, NAME or NAME:TAG
	Suggest   string   // the name it gets if Name is empty and this one is free or its own
	Replace   bool     // Name may point elsewhere; it is moved then
	Profile   Profile  // which CIDs the files get
	Copy      bool     // copy the files, so that later changes to them do not matter
	Reference bool     // leave files that can't be linked where they are, instead of copying them
	Include   []string // patterns of the files of a folder to add, as in [FetchOptions]; none add all
	Exclude   []string // patterns of files to leave out all the same
	// Follow takes the files that symbolic links with absolute targets lead to:
	// those of a folder that a store made, which has such for what it stores by
	// reference. Others are refused, links that lead out among them.
	Follow   bool
	Hidden   bool           // include files and folders whose name begins with a dot
	Pin      bool           // see [Artifact]
	Progress func(Progress) // called for each leaf hashed; never concurrently
}

// maxSilentCopy is how much may be copied without being asked, in bytes.
const maxSilentCopy = 1 << 30

// Add adds the file or folder at p, under the CID that Kubo gives it with the
// same profile. On the same file system no byte is copied: the files become hard
// links or, where that can't be, share their blocks on disk. Elsewhere they are
// copied, if that is asked for or little, or stay where they are, if that is
// asked for.
//
// The folder of a model in a Hugging Face cache (models--ORG--NAME, or a folder
// below its snapshots) and the manifest of one in an Ollama store are taken for
// what they are: links lead into that cache only, each of its blobs must have
// the hash it is named by, the model knows its origin and is called as there,
// and files that can't be linked stay where they are.
//
// Its errors are [ErrLinkOutside], [ErrSpecialFile], [ErrChangedDuringImport],
// [ErrCopyNeeded], [ErrTooLarge], [ErrHashMismatch] for a blob that is not what
// it is called, [ErrNameTaken], [ErrDiskFull], [ErrInvalidRef] for the name or
// the profile, and those of the file system.
func (s *Store) Add(ctx context.Context, p string, o AddOptions) (Artifact, error) {
	if err := checkPatterns(slices.Concat(o.Include, o.Exclude)); err != nil {
		return Artifact{}, err
	}
	name, err := optionalName(o.Name)
	if err != nil {
		return Artifact{}, err
	}
	sh, err := o.Profile.shape()
	if err != nil {
		return Artifact{}, err
	}
	l, err := s.list(p, o.Hidden, o.Follow)
	if err != nil {
		return Artifact{}, fmt.Errorf("add %s: %w", p, err)
	}
	if err := l.narrow(o.Include, o.Exclude); err != nil {
		return Artifact{}, fmt.Errorf("add %s: %w", p, err)
	}
	st, err := s.newStaging(ctx)
	if err != nil {
		return Artifact{}, diskFull(err)
	}
	defer st.discard()
	im := &importer{store: s, list: l, shape: sh, stage: st, nodes: newNodeSet(), progress: newMeter(o.Progress, "hash", l.bytes)}
	set, err := im.run(ctx, o)
	if err != nil {
		return Artifact{}, fmt.Errorf("add %s: %w", p, diskFull(err))
	}
	set.tag, set.pin, set.move, set.replace = name, o.Pin, o.Replace, o.Copy
	if set.suggest = o.Suggest; l.suggest != "" {
		set.suggest = l.suggest
	}
	a, err := s.commit(ctx, set)
	if err == nil {
		s.makeRoom(ctx, a.Root)
	}
	return a, err
}

func optionalName(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	r, err := ParseRef(name)
	if err == nil && r.CID.Defined() {
		err = fmt.Errorf("%w %q: a name can't be a CID", ErrInvalidRef, name)
	}
	return r.Name, err
}

// A staged file lies in the staging folder.
type staged struct {
	path    string // where the bytes are: in the staging folder, or with the user
	file    built
	storage Storage
	stat    fileStat // when its bytes were read
	leaves  []built
}

// An importer makes one listing part of the store.
type importer struct {
	store    *Store
	list     *listing
	shape    shape
	stage    *staging
	nodes    *nodeSet
	progress *meter
	files    []staged // as list.files
}

func (im *importer) run(ctx context.Context, o AddOptions) (*commitSet, error) {
	im.files = make([]staged, len(im.list.files))
	if err := im.bringIn(ctx, o); err != nil {
		return nil, err
	}
	if err := im.hash(ctx); err != nil {
		return nil, err
	}
	return im.assemble(ctx)
}

// bringIn gives every file a second name (or a copy) in the staging folder, or
// leaves it where it is.
func (im *importer) bringIn(ctx context.Context, o AddOptions) error {
	var toCopy []int
	var size int64
	for i, name := range im.list.files {
		f, src := &im.files[i], im.list.srcPath(name)
		f.path = im.stage.path(i)
		if !o.Copy {
			how, err := linkOrClone(src, f.path)
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s: %w", name, ErrChangedDuringImport)
			}
			if err != nil && (o.Reference || im.list.foreign) {
				f.path, how = src, Reference
			}
			if f.storage = how; how == HardLink && im.list.owned {
				f.storage = Copy
			}
		}
		if f.storage == "" {
			fi, err := os.Lstat(src)
			if err != nil {
				return err
			}
			toCopy, size = append(toCopy, i), size+fi.Size()
		}
	}
	if size > maxSilentCopy && !o.Copy {
		return fmt.Errorf("%w: %d bytes can be neither linked nor cloned from there: say --copy to copy them, or --reference to leave them where they are", ErrCopyNeeded, size)
	}
	for _, i := range toCopy {
		if err := im.copyIn(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) copyIn(ctx context.Context, i int) error {
	src := im.list.srcPath(im.list.files[i])
	before, err := lstat(src)
	if err != nil {
		return err
	}
	if err := copyFile(ctx, src, im.files[i].path); err != nil {
		return err
	}
	im.files[i].storage = Copy
	if after, err := lstat(src); err != nil || !after.sameContent(before) || after.irregular {
		return fmt.Errorf("%s: %w", im.list.files[i], ErrChangedDuringImport)
	}
	return nil
}

// hash finds the CID of every file: leaves of all of them in parallel.
func (im *importer) hash(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * hashers())
	for i := range im.files {
		g.Go(func() error {
			err := im.hashFile(ctx, i)
			if want, ok := im.list.hashes[im.list.files[i]]; ok && err == nil {
				err = want.check(ctx, im.files[i].path, im.files[i].stat.Size)
			}
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = ErrChangedDuringImport
			}
			if err != nil && !im.list.single {
				err = fmt.Errorf("%s: %w", im.list.files[i], err)
			}
			return err
		})
	}
	return g.Wait()
}

func (im *importer) hashFile(ctx context.Context, i int) error {
	f := &im.files[i]
	var err error
	if f.stat, err = lstat(f.path); err != nil {
		return err
	}
	if f.stat.irregular { // it was replaced by a link after the folder was listed
		return ErrChangedDuringImport
	}
	chunks := im.shape.chunks(f.stat.Size)
	f.leaves = make([]built, len(chunks))
	err = im.store.eachChunk(ctx, f.path, chunks, func(i int, data []byte) error {
		var err error
		f.leaves[i], err = im.shape.leaf(data)
		im.progress.add(int64(len(data)))
		return err
	})
	if err != nil {
		return err
	}
	if after, err := lstat(f.path); err != nil || !after.sameContent(f.stat) {
		return ErrChangedDuringImport
	}
	f.file, err = buildFile(im.nodes, im.shape, f.leaves)
	f.leaves = nil
	return err
}

// assemble makes the folders above the files.
func (im *importer) assemble(ctx context.Context) (*commitSet, error) {
	done := make(map[string]built)
	set := &commitSet{
		nodes: im.nodes, name: im.list.name(), origin: im.list.origin, single: im.list.single, complete: true,
		dirs: im.list.dirs, staged: make(map[string]stagedFile), discard: im.stage.discard,
	}
	t := im.list.tree()
	for i, name := range im.list.files {
		f := im.files[i]
		done[name] = f.file
		t.files[name] = &blob{cid: f.file.cid, size: f.file.size}
		if key := f.file.cid.String(); f.storage != Reference || set.staged[key].path == "" { // a twin of the store's own is better
			set.staged[key] = stagedFile{path: f.path, storage: f.storage, stat: f.stat}
		}
	}
	for _, name := range sortedKeys(im.list.links) {
		b, err := buildLink(im.nodes, im.shape, im.list.links[name])
		if err != nil {
			return nil, err
		}
		done[name] = b
	}
	if err := im.folders(ctx, done); err != nil {
		return nil, err
	}
	set.root = done[""].cid
	if err := t.resolveLinks(); err != nil {
		return nil, err
	}
	set.files = t.fileCIDs(im.list.name())
	return set, nil
}

// folders builds every folder after those within it.
func (im *importer) folders(ctx context.Context, done map[string]built) error {
	children := im.list.children()
	for _, dir := range slices.Backward(im.list.dirs) { // a folder is listed before its entries
		entries := make(map[string]built)
		for _, child := range children[dir] {
			entries[path.Base(child)] = done[child]
		}
		b, err := buildFolder(ctx, im.nodes, im.shape, entries)
		if err != nil {
			return err
		}
		done[dir] = b
	}
	return nil
}

// fileCIDs lists the tree's files by name; a root that is a file itself gets
// the name single.
func (t *tree) fileCIDs(single string) map[string]string {
	out := make(map[string]string, len(t.files))
	for name, b := range t.files {
		if name == "" {
			name = single
		}
		out[name] = b.cid.String()
	}
	return out
}

func rootKey(c interface{ String() string }) string { return c.String() }
