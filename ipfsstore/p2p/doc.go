// Package p2p is the libp2p host of a store: it gets blocks from peers, and
// gives them those of models that are shared. It is linked into
// ipfs-accelerate-p2p alone, a process of its own that others of this machine
// use through a socket (package peers); [Serve] is that process.
//
// # Who may do what
//
// Nobody may connect but the peers on the allow-list, those this host was told
// to connect to, and, with the table, those of its bootstrap list. Only those on
// the allow-list are given anything, and only blocks of shared roots. A peer
// that is refused learns so on its first stream, not from Connect, which may
// return nil before: who connects must say hello.
//
// # What it speaks
//
//   - bitswap, as Kubo does, with windows of 2 MiB and 16 MiB outstanding.
//   - /ipfs-accelerate/blob/1.0.0, which answers all nodes below a root at once,
//     and blocks in the order they are asked for: see blob.go.
//
// What comes in is bounded before memory is taken for it, and hashed before it
// is passed on, so that the peer that lied is known; the store hashes it again,
// for it does not believe this process either.
package p2p
