// Package ipfsstore keeps models by content: each is known by the CID of its
// files, stored once as plain files, verified once and served by CID.
//
// The words it uses:
//
//   - A block is a piece of data with a CID, the hash that proves it.
//   - A root is the CID a model is known by: a UnixFS folder, or a single file.
//   - A node is a block with links: a folder, a shard of a large folder, a
//     symbolic link, or the inner part of a file's tree.
//   - A leaf is a block that holds a range of a file's bytes and no links.
//   - A blob is a whole file, stored under its own CID.
//   - A source is a place blocks come from; a tier is its place in the order
//     in which sources are asked.
//   - A pin marks a root that may only be removed by force.
//   - A lease keeps a root while a program has it open.
//
// # Layout of a store directory
//
//	blobs/CID          a file, complete and verified
//	models/ROOT/...    a model's own folder: hard links to blobs, real files; and
//	                   symbolic links to files that stay where the user has them
//	nodes/ROOT.car     the nodes of a root, everything but its leaves
//	roots/ROOT.json    the files of a root, and how they looked when verified
//	names/NAME.json    a catalogue name
//	used/ROOT          when a root was last used
//	parts/ROOT/CID     files of a fetch that has not finished
//	tmp/               files on their way in
//	locks/, lock       advisory locks, released by the system with their process;
//	                   locks/ROOT.lease is held by whoever has the model open
//
// A leaf is never stored by itself: it is a range of a blob, found by way of the
// root's nodes. One store directory may be used by several processes at once.
//
// # Trust
//
// Blocks are hashed before they are believed, in one place (verify.go). Stored
// files are hard links to the user's own where that is possible, so they may
// change under the store's hands. It therefore records device, inode, size and
// times of each file and compares them before each use; on any difference the
// file is hashed again, and if its bytes are wrong it is [ErrModelChanged] and
// no longer part of the store. A change that leaves all of these as they were (a
// forged modification time within the same clock tick) is found by
// [Store.Verify] only.
//
// # Sources
//
// Where blocks come from is a plug-in, see [Source]. Package storetest has the
// conformance suite that each must pass, package memory the simplest one.
package ipfsstore
