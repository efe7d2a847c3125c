// Command ipfs-accelerate-p2p is the libp2p host that the processes of this
// machine that need peers share: the first starts it, and it ends with the last.
// It is not for people to run. It reads its configuration from standard input,
// as JSON, says on standard output when it is ready, and logs to standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/p2p"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// maxConfig bounds what is read, in bytes.
const maxConfig = 1 << 20

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var c peers.Config
	if err := json.NewDecoder(io.LimitReader(os.Stdin, maxConfig)).Decode(&c); err != nil || c.Home == "" {
		return tell(errors.Join(errors.New("ipfs-accelerate-p2p is started by ipfs-accelerate"), err))
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ready := false
	err := p2p.Serve(ctx, c, log, func() {
		ready = true
		fmt.Println(peers.Ready)
		os.Stdout.Close()
	})
	if err != nil && !ready {
		return tell(err)
	}
	return err
}

// tell says why there is no host to whoever waits for one.
func tell(err error) error {
	if errors.Is(err, p2p.ErrTaken) {
		fmt.Println(peers.Taken)
		return nil
	}
	fmt.Println(err)
	return err
}
