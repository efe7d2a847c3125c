package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// peerID is what the id of a peer looks like: base58, or a CID in base36.
var peerID = regexp.MustCompile(`^(12D3KooW[1-9A-HJ-NP-Za-km-z]{44}|Qm[1-9A-HJ-NP-Za-km-z]{44}|k[0-9a-z]{50,70})$`)

// peerOptions are how this program joins or starts the host of its home.
func (a *app) peerOptions() peers.Options {
	conf := a.settings()
	home, err := filepath.Abs(a.home)
	if err != nil {
		home = a.home // a working directory that is gone is said by what needs it
	}
	return peers.Options{
		Command: []string{programPath(conf.P2P.Program, hostName)}, Idle: time.Duration(conf.IPFS.Timeout), Logger: a.log,
		Config: peers.Config{
			Home: home, Store: filepath.Join(home, "store"), Listen: conf.P2P.Listen, Allow: conf.P2P.Allow, Peers: conf.P2P.Peers,
			MDNS: conf.P2P.MDNS, DHT: conf.P2P.DHT, Bootstrap: conf.P2P.DHTBootstrap,
		},
	}
}

// announce has a host that runs tell the table what is shared. One that does
// not run does it when it starts.
func (a *app) announce(ctx context.Context) {
	_, err := a.peers.Status(ctx, false)
	if errors.Is(err, peers.ErrNoHost) {
		return
	}
	if err == nil {
		err = a.peers.Announce(ctx)
	}
	if err != nil {
		a.log.WarnContext(ctx, "the table is not told yet; the host tries again", "error", err)
	}
}

func (c *cli) peers() *cobra.Command {
	cmd := &cobra.Command{Use: "peers", Short: "Exchange models with other machines: id, list, allow, connect"}
	cmd.AddCommand(c.peersID(), c.peersList(), c.peersAllow(), c.peersConnect())
	return cmd
}

// withHost runs f with what the host says of itself.
func (c *cli) withHost(ctx context.Context, f func(peers.Status) error) error {
	return c.with(func(a *app) error { //nolint:contextcheck // what is opened stays open until it is closed
		st, err := a.peers.Status(ctx, true)
		if err != nil {
			return hostError(err)
		}
		return f(st)
	})
}

// hostError says what can be done where there is no host.
func hostError(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, peers.ErrNoHost) {
		return verdictError{ExitUnavailable, fmt.Errorf("%w (is %s beside this program? the log is %s in the data directory)", err, hostName, peers.LogFile)}
	}
	return err
}

func (c *cli) peersID() *cobra.Command {
	return &cobra.Command{
		Use:   "id",
		Short: "Show this machine's peer id and addresses, for the other side to allow and connect to",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withHost(cmd.Context(), func(st peers.Status) error {
				if c.json {
					return c.printJSON(map[string]any{"id": st.ID, "addresses": st.Addresses})
				}
				fmt.Fprintln(c.out, st.ID)
				for _, address := range st.Addresses {
					fmt.Fprintln(c.out, address)
				}
				return nil
			})
		},
	}
}

func (c *cli) peersList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the peers that are known, best first",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withHost(cmd.Context(), func(st peers.Status) error {
				if c.json {
					return c.printJSON(map[string]any{"peers": st.Peers})
				}
				return c.table(func(w io.Writer) {
					row(w, "PEER\tSTATE\tLATENCY\tBANDWIDTH\tGOT")
					for _, p := range st.Peers {
						row(w, "%s\t%s\t%s\t%s/s\t%s", p.ID, peerState(p), p.Latency.Round(time.Microsecond), humanBytes(int64(p.Bandwidth)), humanBytes(p.Bytes))
					}
				})
			})
		},
	}
}

func peerState(p peers.Peer) string {
	words := []string{map[bool]string{true: "connected", false: "away"}[p.Connected]}
	if p.Allowed {
		words = append(words, "allowed")
	}
	if p.Banned {
		words = append(words, "banned")
	}
	return strings.Join(words, ",")
}

func (c *cli) peersAllow() *cobra.Command {
	var stop bool
	cmd := &cobra.Command{
		Use:   "allow PEER",
		Short: "Let a peer connect, and give it what models share has shared",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !peerID.MatchString(args[0]) {
				return usageError{fmt.Errorf("%q is no peer id; the other machine shows its own with peers id", args[0])}
			}
			return c.with(func(a *app) error {
				err := peers.Change(a.home, func(b *peers.Book) {
					b.Allow = slices.DeleteFunc(b.Allow, func(id string) bool { return id == args[0] })
					if !stop {
						b.Allow = append(b.Allow, args[0])
					}
				})
				if err == nil && c.json {
					return c.printJSON(map[string]any{"id": args[0], "allowed": !stop})
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&stop, "stop", false, "allow it no longer")
	return cmd
}

func (c *cli) peersConnect() *cobra.Command {
	var stop bool
	cmd := &cobra.Command{
		Use:     "connect ADDRESS",
		Short:   "Connect to a peer, and stay connected to it whenever p2p is on",
		Long:    "Connect to a peer, and stay connected to it whenever p2p is on. The peer must allow this\nmachine. It gets nothing from here unless it is allowed too.",
		Example: "  ipfs-accelerate peers connect /ip4/192.0.2.1/tcp/4101/p2p/12D3KooW…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(func(a *app) error {
				if !stop {
					if err := a.peers.Connect(cmd.Context(), args[0]); err != nil {
						return hostError(err)
					}
				}
				err := peers.Change(a.home, func(b *peers.Book) {
					b.Peers = slices.DeleteFunc(b.Peers, func(address string) bool { return address == args[0] })
					if !stop {
						b.Peers = append(b.Peers, args[0])
					}
				})
				if err == nil && c.json {
					return c.printJSON(map[string]any{"address": args[0], "connected": !stop})
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&stop, "stop", false, "stay connected to it no longer")
	return cmd
}

// examinePeers says whether the host runs. It starts none.
func examinePeers(ctx context.Context, a *app) finding {
	if !a.settings().P2P.Enabled {
		return finding{Name: "peers", OK: true, Detail: "p2p is off"}
	}
	path, err := exec.LookPath(a.peerOptions().Command[0])
	if err != nil {
		f := result("peers", "", err)
		f.Fix = "put " + hostName + " beside ipfs-accelerate or on PATH, or name it in p2p.program"
		return f
	}
	st, err := a.peers.Status(ctx, false)
	if errors.Is(err, peers.ErrNoHost) {
		return finding{Name: "peers", OK: true, Detail: "no host runs now; the first fetch or server starts it" + builtFrom(path)}
	}
	connected := 0
	for _, p := range st.Peers {
		if p.Connected {
			connected++
		}
	}
	return result("peers", fmt.Sprintf("the host runs, %d peers connected, %d roots shared", connected, st.Shared), err)
}
