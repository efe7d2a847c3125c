// Command ipfs-accelerate is an MCP server that runs machine-learning models
// on whatever hardware is at hand, and the same as commands for people. It is
// pure Go; what needs C runs in children, see ipfs-accelerate-native.
package main

import "github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"

func main() { command.Main() }
