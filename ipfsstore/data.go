package ipfsstore

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/datamodel"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/node/basicnode"
	"github.com/ipld/go-ipld-prime/traversal"
)

// decodeData decodes a DAG-CBOR block: a document with links, and no file.
func decodeData(c cid.Cid, block []byte) (*node, error) {
	nb := basicnode.Prototype.Any.NewBuilder()
	if err := dagcbor.Decode(nb, bytes.NewReader(block)); err != nil { // which has limits on depth and memory
		return nil, fmt.Errorf("%w: block %s is not DAG-CBOR: %w", ErrInvalidDAG, c, err)
	}
	n := &node{kind: dataNode, value: nb.Build()}
	links, err := traversal.SelectLinks(n.value)
	if err != nil {
		return nil, fmt.Errorf("%w: block %s: %w", ErrInvalidDAG, c, err)
	}
	for _, l := range links {
		id := l.(cidlink.Link).Cid // dagcbor makes no other kind of link
		if err := checkCID(id); err != nil {
			return nil, fmt.Errorf("block %s: %w", c, err)
		}
		n.links = append(n.links, &ipld.Link{Cid: id})
	}
	return n, nil
}

// follow goes along names within a document, up to the first link, and returns
// how many it took.
func (n *node) follow(names []string) (to cid.Cid, used int, ok bool) {
	at := n.value
	for i, name := range names {
		next, err := child(at, name)
		if err != nil {
			return cid.Undef, 0, false
		}
		if at = next; at.Kind() != datamodel.Kind_Link {
			continue
		}
		link, err := at.AsLink()
		if err != nil {
			return cid.Undef, 0, false
		}
		return link.(cidlink.Link).Cid, i + 1, true // dagcbor makes no other kind of link
	}
	return cid.Undef, 0, false
}

// child is an entry of a map, or of a list by its number.
func child(n datamodel.Node, name string) (datamodel.Node, error) {
	if n.Kind() != datamodel.Kind_List {
		return n.LookupByString(name)
	}
	i, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return nil, err
	}
	return n.LookupByIndex(i)
}

// bringData brings all that is below the documents of a tree into nodes, and
// leaves out what is absent. Files among it are kept as blocks, not as files.
func bringData(ctx context.Context, nodes *nodeSet, t *tree, fetch nodeFetch) error {
	seen := cid.NewSet()
	for level := t.data; len(level) > 0; {
		var here []cid.Cid
		for _, c := range level {
			if !nodes.has(c) && nodes.isAbsent(c) {
				t.lose(t.names[c])
			} else if seen.Visit(c) {
				here = append(here, c)
			}
		}
		if seen.Len() > maxLeaves {
			return fmt.Errorf("%w: more than %d blocks of documents", ErrTooLarge, maxLeaves)
		}
		if err := bring(ctx, nodes, here, fetch); err != nil {
			return err
		}
		level = nil
		for _, c := range here {
			if c.Type() == cid.Raw {
				continue
			}
			n, err := nodes.node(c)
			if err != nil {
				return err
			}
			for _, l := range n.links {
				t.names[l.Cid] = t.names[c]
				level = append(level, l.Cid)
			}
		}
	}
	return nil
}
