// Package packs is the table of execution providers: for each the libraries it
// needs, out of which packages, by which SHA-256, how ONNX Runtime is given it,
// and what a runner that drives it must be left with. [Table] has a row for
// every pack of this kind of machine; adding one is adding a row.
//
// A pack is a core of ONNX Runtime with provider libraries of the one version
// that fits it. A runner loads exactly one, so versions never mix. [Pack.Install]
// gets a pack through the npm or pip client of this machine, since only they
// know which registry and proxy it uses.
package packs
