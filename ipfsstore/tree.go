package ipfsstore

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Limits on what a DAG may ask for, whatever its blocks say.
const (
	maxEntries   = 250_000 // files, folders and links of one root
	maxDepth     = 64      // of folders, of shards and of a file's tree
	maxLeaves    = 1 << 20 // of one root: a tebibyte in large leaves
	maxLinkHops  = 40      // symbolic links on the way to a file
	unknownBytes = -1
)

// A blob is a file's content: its CID and where its bytes come from.
type blob struct {
	cid    cid.Cid
	size   int64   // unknownBytes for a leaf nothing tells the size of
	chunks []chunk // by offset; set by expand
	lost   bool    // an inner part of its tree is absent; set by expand
}

// A chunk is a range of a blob: a leaf, or a node with a file's own bytes.
type chunk struct {
	cid  cid.Cid
	off  int64
	size int64 // unknownBytes where the blob's is

	depth int // in the file's tree
}

// A tree is a root as its nodes describe it.
type tree struct {
	root  cid.Cid
	files map[string]*blob // by slash-separated name; "" if the root is a file
	dirs  map[string]bool
	links map[string]string  // symbolic links: name -> target
	blobs map[cid.Cid]*blob  // each content once
	data  []cid.Cid          // documents, which are no files; see bringData
	names map[cid.Cid]string // of the documents, and of what is below them
	lost  []string           // names of which something is absent
}

// A nodeFetch brings the nodes of want into a nodeSet.
type nodeFetch func(ctx context.Context, want []cid.Cid) error

// A treeReader walks a root's folders level by level, so that each costs one
// round trip.
type treeReader struct {
	nodes *nodeSet
	fetch nodeFetch // nil: what is not in nodes is not found
	tree  *tree
	names int
}

// A step is a link that the reader has yet to follow.
type step struct {
	name  string // of the entry, or of the folder that a shard belongs to
	link  *ipld.Link
	shard *shardShape // of the parent, where this is one of its shards
	depth int
}

// readTree reads all folders of root. Files are known by name, CID and size
// afterwards; their insides are not looked at.
func readTree(ctx context.Context, nodes *nodeSet, root cid.Cid, fetch nodeFetch) (*tree, error) {
	r := &treeReader{nodes: nodes, fetch: fetch, tree: &tree{
		root: root, files: make(map[string]*blob), dirs: make(map[string]bool), links: make(map[string]string), blobs: make(map[cid.Cid]*blob), names: make(map[cid.Cid]string),
	}}
	if root.Type() == cid.Raw {
		return r.tree, r.tree.addFile("", root, rawSize(root, unknownBytes))
	}
	level := []step{{link: &ipld.Link{Cid: root}}}
	for len(level) > 0 {
		level = r.dropAbsent(level)
		if err := r.bring(ctx, level); err != nil {
			return nil, err
		}
		var next []step
		for _, st := range level {
			more, err := r.follow(st)
			if err != nil {
				return nil, err
			}
			next = append(next, more...)
		}
		level = next
	}
	return r.tree, nil
}

// rawSize is the size of a raw block: what a link says, or an identity CID's own.
func rawSize(c cid.Cid, said int64) int64 {
	if digest, sha := digestOf(c); !sha {
		return int64(len(digest))
	}
	return said
}

// dropAbsent leaves out what can't be had, unless that is the root.
func (r *treeReader) dropAbsent(level []step) []step {
	return slices.DeleteFunc(level, func(st step) bool {
		absent := st.link.Cid != r.tree.root && !r.nodes.has(st.link.Cid) && r.nodes.isAbsent(st.link.Cid)
		if absent {
			r.tree.lose(st.name)
		}
		return absent
	})
}

func (r *treeReader) bring(ctx context.Context, level []step) error {
	cids := make([]cid.Cid, len(level))
	for i, st := range level {
		cids[i] = st.link.Cid
	}
	return bring(ctx, r.nodes, cids, r.fetch)
}

// bring fetches those of cids that nodes lacks.
func bring(ctx context.Context, nodes *nodeSet, cids []cid.Cid, fetch nodeFetch) error {
	seen := cid.NewSet()
	var want []cid.Cid
	for _, c := range cids {
		if _, ok := nodes.get(c); !ok && seen.Visit(c) {
			want = append(want, c)
		}
	}
	if len(want) == 0 {
		return ctx.Err()
	}
	if fetch == nil {
		return fmt.Errorf("block %s: %w", want[0], ErrNotFound)
	}
	return fetch(ctx, want)
}

// follow enters one node into the tree and returns the links to follow next.
func (r *treeReader) follow(st step) ([]step, error) {
	n, err := r.nodes.node(st.link.Cid)
	if err != nil {
		return nil, err
	}
	if st.depth > maxDepth {
		return nil, fmt.Errorf("%w: %q is more than %d levels deep", ErrTooLarge, st.name, maxDepth)
	}
	if st.shard != nil && (n.kind != shardNode || n.shard != *st.shard) {
		return nil, fmt.Errorf("%w: a shard of folder %q is none", ErrInvalidDAG, st.name)
	}
	switch n.kind {
	case fileNode:
		return nil, r.tree.addFile(st.name, st.link.Cid, n.size)
	case linkNode:
		return nil, r.tree.addLink(st.name, string(n.data))
	case dataNode:
		return nil, r.tree.addData(st.name, st.link.Cid)
	}
	if st.shard == nil {
		if err := r.tree.free(st.name); err != nil {
			return nil, err
		}
		r.tree.dirs[st.name] = true
	}
	return r.entries(st, n)
}

// entries enters a folder's raw files into the tree and returns its other
// entries and its shards.
func (r *treeReader) entries(st step, n *node) ([]step, error) {
	var next []step
	for _, l := range n.links {
		name := l.Name
		if n.kind == shardNode {
			if name = l.Name[n.shard.prefix:]; name == "" {
				next = append(next, step{st.name, l, &n.shard, st.depth + 1})
				continue
			}
		}
		more, err := r.entry(st, name, l)
		if err != nil {
			return nil, err
		}
		next = append(next, more...)
	}
	return next, nil
}

func (r *treeReader) entry(st step, name string, l *ipld.Link) ([]step, error) {
	if err := checkFileName(name); err != nil {
		return nil, err
	}
	if r.names++; r.names > maxEntries {
		return nil, fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
	}
	full := cleanJoin(st.name, name)
	if l.Cid.Type() != cid.Raw {
		return []step{{full, l, nil, st.depth + 1}}, nil
	}
	if l.Size > maxBlock {
		return nil, fmt.Errorf("%w: leaf %s of %d bytes, which is more than %d", ErrTooLarge, l.Cid, l.Size, maxBlock)
	}
	return nil, r.tree.addFile(full, l.Cid, rawSize(l.Cid, int64(l.Size)))
}

func (t *tree) addFile(name string, c cid.Cid, size int64) error {
	if err := t.free(name); err != nil {
		return err
	}
	b := t.blobs[c]
	if b == nil {
		b = &blob{cid: c, size: size}
		t.blobs[c] = b
	}
	if b.size != size {
		return fmt.Errorf("%w: file %s has two sizes, %d and %d", ErrInvalidDAG, c, b.size, size)
	}
	t.files[name] = b
	return nil
}

func (t *tree) addLink(name, target string) error {
	if err := t.free(name); err != nil {
		return err
	}
	if name == "" {
		return fmt.Errorf("%w: the root is a symbolic link", ErrInvalidDAG)
	}
	t.links[name] = target
	return nil
}

func (t *tree) addData(name string, c cid.Cid) error {
	if err := t.free(name); err != nil {
		return err
	}
	t.data, t.names[c] = append(t.data, c), name
	return nil
}

// free refuses a second entry of the same name.
func (t *tree) free(name string) error {
	_, file := t.files[name]
	_, link := t.links[name]
	if file || link || t.dirs[name] {
		return fmt.Errorf("%w: two entries are called %q", ErrInvalidDAG, name)
	}
	return nil
}

// resolveLinks gives every symbolic link the files it leads to, under its own
// name: programs that refuse to follow links find real files.
func (t *tree) resolveLinks() error {
	names := sortedKeys(t.files)
	for _, name := range sortedKeys(t.links) {
		target, err := t.target(name)
		if err != nil {
			return err
		}
		if err := t.alias(name, target, names); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) alias(name, target string, names []string) error {
	if b, ok := t.files[target]; ok {
		t.files[name] = b
		return nil
	}
	if !t.dirs[target] && len(t.lost) > 0 {
		t.lose(name)
		return nil
	}
	if !t.dirs[target] {
		return fmt.Errorf("%w: link %q leads to %q, which is not there", ErrInvalidDAG, name, target)
	}
	prefix := target + "/"
	if target == "" {
		prefix = ""
	}
	start, _ := slices.BinarySearch(names, prefix)
	for _, f := range names[start:] {
		rest, ok := strings.CutPrefix(f, prefix)
		if !ok {
			break
		}
		if t.files[name+"/"+rest] = t.files[f]; len(t.files) > maxEntries {
			return fmt.Errorf("%w: more than %d files", ErrTooLarge, maxEntries)
		}
	}
	return nil
}

// target follows a link, through others if need be, to a name in the tree.
func (t *tree) target(name string) (string, error) {
	at, rest, hops := "", strings.Split(name, "/"), 0
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		if next == ".." || strings.HasPrefix(next, "../") {
			return "", fmt.Errorf("%w: %q", ErrLinkOutside, name)
		}
		rest = rest[1:]
		to, isLink := t.links[next]
		if !isLink {
			if at = next; at == "." {
				at = ""
			}
			continue
		}
		if hops++; hops > maxLinkHops || strings.HasPrefix(to, "/") || strings.ContainsAny(to, "\\\x00") {
			return "", fmt.Errorf("%w: %q leads to %q", ErrLinkOutside, name, to)
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return at, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// resolve follows p from root through nodes, and through those that fetch brings
// if it is given, and returns the CIDs passed, the root first. Symbolic links
// are not followed. visit, if given, sees every node on the way, the shards of
// large folders included.
func resolve(ctx context.Context, nodes *nodeSet, root cid.Cid, p string, fetch nodeFetch, visit func(cid.Cid)) ([]cid.Cid, error) {
	trail := []cid.Cid{root}
	var names []string
	if p != "" {
		names = strings.Split(p, "/")
	}
	for len(names) > 0 {
		next, used, err := resolveStep(ctx, nodes, trail[len(trail)-1], names, fetch, visit)
		if err != nil {
			return nil, err
		}
		trail, names = append(trail, next), names[used:]
	}
	return trail, nil
}

// resolveStep follows the first of names to where it leads, through the shards
// of a large folder; within a document, as many names as lead to a link.
func resolveStep(ctx context.Context, nodes *nodeSet, at cid.Cid, names []string, fetch nodeFetch, visit func(cid.Cid)) (cid.Cid, int, error) {
	for depth := 0; depth <= maxDepth && at.Type() != cid.Raw; depth++ {
		if err := bring(ctx, nodes, []cid.Cid{at}, fetch); err != nil {
			return cid.Undef, 0, err
		}
		if visit != nil {
			visit(at)
		}
		n, err := nodes.node(at)
		if err != nil {
			return cid.Undef, 0, err
		}
		if n.kind == dataNode {
			if to, used, ok := n.follow(names); ok {
				return to, used, nil
			}
			break
		}
		if n.kind != folderNode && n.kind != shardNode {
			break
		}
		link, deeper := n.find(names[0], depth)
		if link == nil {
			break
		}
		if !deeper {
			return link.Cid, 1, nil
		}
		at = link.Cid
	}
	return cid.Undef, 0, fmt.Errorf("no entry %q: %w", names[0], ErrNotFound)
}
