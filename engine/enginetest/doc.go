// Package enginetest holds the conformance suites of the engine's plug-ins,
// working fakes, and what tests of them share.
//
// [TestProvider] says what every execution provider must do; a new one's test
// is that one call. [Fake] is a provider that passes it without any runtime:
// it evaluates small graphs in Go. [Runtime] gets the real ONNX Runtime.
package enginetest
