// Command ipfs-accelerate is an MCP server that runs machine-learning models
// on whatever hardware is at hand, and the same as commands for people. It is
// pure Go; what needs C runs in children, see ipfs-accelerate-native.
package main

import (
	"os"
	"runtime/debug"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"
)

// gcPercent trades memory for calls that the garbage collector does not
// disturb: the program keeps a few MB, tensors come and go.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	command.Main()
}
