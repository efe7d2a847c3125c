package command_test

import (
	"os/exec"
	"strings"
	"testing"
)

// What would cost every start of the server is not linked into it.
func TestProgram_links(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/ipfs-accelerate").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "ipfs-accelerate-go/ipfsstore/peers\n") {
		t.Fatal("the list is not the program's")
	}
	for line := range strings.Lines(string(out)) {
		for _, not := range []string{"github.com/libp2p/go-libp2p", "github.com/ipfs/boxo/bitswap", "github.com/ipfs/boxo/gateway", "ipfs-accelerate-go/ipfsstore/p2p\n"} {
			if strings.Contains(line, not) {
				t.Errorf("the server links %s", strings.TrimSpace(line))
			}
		}
	}
}
