package tokenizer

import (
	"sort"
)

// A trie finds which of many strings a text starts with.
type trie struct {
	nodes  []trieNode // the root first; children of a node are neighbours
	labels []byte     // of each node, the byte that leads to it
}

type trieNode struct {
	child int32 // index of the first
	count int16
	value int32 // -1 where no string ends
}

// newTrie takes the strings in order, each once; values are their own.
func newTrie(keys []string, values []int32) *trie {
	t := &trie{nodes: []trieNode{{value: -1}}, labels: []byte{0}}
	type job struct{ node, from, to, depth int }
	for queue := []job{{0, 0, len(keys), 0}}; len(queue) > 0; {
		j := queue[0]
		queue = queue[1:]
		if j.from < j.to && len(keys[j.from]) == j.depth {
			t.nodes[j.node].value = values[j.from]
			j.from++
		}
		t.nodes[j.node].child = int32(len(t.nodes))
		for from := j.from; from < j.to; {
			label := keys[from][j.depth]
			n := sort.Search(j.to-from, func(i int) bool { return keys[from+i][j.depth] != label })
			queue = append(queue, job{len(t.nodes), from, from + n, j.depth + 1})
			t.nodes, t.labels = append(t.nodes, trieNode{value: -1}), append(t.labels, label)
			t.nodes[j.node].count++
			from += n
		}
	}
	return t
}

// next returns the child of a node by a byte, or -1.
func (t *trie) next(node int32, label byte) int32 {
	n := t.nodes[node]
	lo, hi := n.child, n.child+int32(n.count)
	for lo < hi {
		mid := (lo + hi) / 2
		switch l := t.labels[mid]; {
		case l == label:
			return mid
		case l < label:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return -1
}

// longest returns the longest string that s starts with.
func (t *trie) longest(s string) (n int, value int32) {
	value = -1
	node := int32(0)
	for i := range len(s) {
		if node = t.next(node, s[i]); node < 0 {
			break
		}
		if v := t.nodes[node].value; v >= 0 {
			n, value = i+1, v
		}
	}
	return n, value
}
