package ipfsstore

import (
	"context"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/hamt"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// A built is a finished part of a DAG as its parent links to it.
type built struct {
	cid   cid.Cid
	size  int64  // of a file's bytes
	tsize uint64 // of all blocks below and including it
}

// buildFile makes the tree above the leaves of one file, of which there is at
// least one, and adds its nodes to set.
func buildFile(set *nodeSet, sh shape, level []built) (built, error) {
	for len(level) > 1 {
		up := make([]built, 0, (len(level)+sh.width-1)/sh.width)
		for start := 0; start < len(level); start += sh.width {
			n, err := buildFileNode(set, sh, level[start:min(start+sh.width, len(level))])
			if err != nil {
				return built{}, err
			}
			up = append(up, n)
		}
		level = up
	}
	return level[0], nil
}

func buildFileNode(set *nodeSet, sh shape, parts []built) (built, error) {
	fsn := unixfs.NewFSNode(unixfs.TFile)
	links := make([]*ipld.Link, len(parts))
	out := built{}
	for i, p := range parts {
		fsn.AddBlockSize(uint64(p.size))
		links[i] = &ipld.Link{Size: p.tsize, Cid: p.cid}
		out.size += p.size
	}
	data, err := fsn.GetBytes()
	if err != nil {
		return built{}, err
	}
	b, err := buildNode(set, sh, data, links)
	out.cid, out.tsize = b.cid, b.tsize
	return out, err
}

// buildFolder makes the folder of the named entries and adds its nodes to set.
func buildFolder(ctx context.Context, set *nodeSet, sh shape, entries map[string]built) (built, error) {
	links := make([]*ipld.Link, 0, len(entries))
	for name, e := range entries {
		links = append(links, &ipld.Link{Name: name, Size: e.tsize, Cid: e.cid})
	}
	pn, err := protoNode(sh.cids, unixfs.FolderPBData(), links)
	if err != nil {
		return built{}, err
	}
	if sh.sharded(links, len(pn.RawData())) {
		return buildShards(ctx, set, sh, links)
	}
	return addNode(set, pn)
}

func buildShards(ctx context.Context, set *nodeSet, sh shape, links []*ipld.Link) (built, error) {
	shard, err := hamt.NewShard(dagService{set}, shardWidth)
	if err != nil {
		return built{}, err
	}
	shard.SetCidBuilder(sh.cids)
	for _, l := range links {
		if err := shard.SetLink(ctx, l.Name, l); err != nil {
			return built{}, err
		}
	}
	n, err := shard.Node()
	if err != nil {
		return built{}, err
	}
	return addNode(set, n)
}

// buildLink makes a symbolic link and adds its node to set.
func buildLink(set *nodeSet, sh shape, target string) (built, error) {
	data, err := unixfs.SymlinkData(target)
	if err != nil {
		return built{}, err
	}
	return buildNode(set, sh, data, nil)
}

func buildNode(set *nodeSet, sh shape, data []byte, links []*ipld.Link) (built, error) {
	pn, err := protoNode(sh.cids, data, links)
	if err != nil {
		return built{}, err
	}
	return addNode(set, pn)
}

func protoNode(cids cid.Builder, data []byte, links []*ipld.Link) (*merkledag.ProtoNode, error) {
	pn := merkledag.NodeWithData(data)
	if err := pn.SetCidBuilder(cids); err != nil {
		return nil, err
	}
	for _, l := range links {
		if err := pn.AddRawLink(l.Name, l); err != nil {
			return nil, err
		}
	}
	return pn, nil
}

func addNode(set *nodeSet, n ipld.Node) (built, error) {
	size, err := n.Size()
	if err != nil {
		return built{}, err
	}
	return built{cid: n.Cid(), tsize: size}, set.put(n.Cid(), n.RawData())
}
