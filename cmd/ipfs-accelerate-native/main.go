// Command ipfs-accelerate-native is what ipfs-accelerate starts for work that
// needs C, each as a process of its own. It is not for people to run.
//
//	ipfs-accelerate-native runner --library PATH    a model, over descriptor 3
//	ipfs-accelerate-native worker                   one request for the database
//	ipfs-accelerate-native template                 a chat template, on standard input
package main

import (
	"context"
	"fmt"
	"os"
)

// commands are what this program can be, by its first argument.
var commands = map[string]func(ctx context.Context, args []string) error{
	"runner": runRunner,
	"worker": runWorker,

	"template": runTemplate,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "ipfs-accelerate-native is started by ipfs-accelerate")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](context.Background(), os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
