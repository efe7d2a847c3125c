//go:build race

package sandbox

// raceEnabled: ThreadSanitizer maps more memory than any limit leaves.
const raceEnabled = true
