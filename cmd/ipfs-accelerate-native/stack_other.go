//go:build !linux

package main

// stackBytes is not needed where there is no memory limit.
const stackBytes = 0

func limitStacks() error { return nil }
