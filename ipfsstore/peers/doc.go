// Package peers gets blocks from peers by way of the host process of this
// machine, which it joins, or starts if there is none. It knows nothing of
// libp2p: that is linked into the host only (package p2p), so that programs that
// use it neither start later nor grow.
//
// The host is a process for one home. Whoever needs it holds a connection to
// its socket; it ends when the last has let go. Requests go over the same socket
// as HTTP: blocks by the routes of a trustless gateway, one for each source. A
// host that dies is an error of its sources; the next request starts another,
// and waits longer from time to time if that fails.
package peers
