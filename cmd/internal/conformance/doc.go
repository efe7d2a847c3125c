// Package conformance holds the server that the protocol's conformance suite
// wants to see, built by the constructor that the product uses, so that the
// suite tests the product's transports. Its tests run the suite on it, and
// other people's clients on the real program.
package conformance
