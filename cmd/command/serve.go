package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// syncLimit is how long a tool call waits for long work: clients give up on a
// call after a minute.
const syncLimit = 45 * time.Second

// serving are the flags of serve.
type serving struct {
	transports []string
	listen     string
	gateway    bool
	drain      time.Duration
}

func (c *cli) serve() *cobra.Command {
	var o serving
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the tools to AI agents over MCP",
		Example: `  ipfs-accelerate serve
  ipfs-accelerate serve --transport http --listen 127.0.0.1:8765 --gateway
  ipfs-accelerate serve --source http://127.0.0.1:8080 --allow-path ~/models`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runServer(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.transports, "transport", []string{"stdio"}, "stdio, http or stdio,http")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8765", "loopback address for http: /mcp, /sse and, with --gateway, /ipfs/")
	f.BoolVar(&o.gateway, "gateway", false, "serve the models of the store under /ipfs/ as a trustless gateway")
	f.StringArrayVar(&c.allow, "allow-path", nil, "folder whose files callers may name (repeatable)")
	f.DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long calls may go on after the input ends")
	return cmd
}

func (o serving) check() error {
	for _, t := range o.transports {
		if t != "stdio" && t != "http" {
			return usageError{fmt.Errorf("transport %q is neither stdio nor http", t)}
		}
	}
	if o.gateway && !slices.Contains(o.transports, "http") {
		return usageError{errors.New("--gateway needs --transport http")}
	}
	return nil
}

func (c *cli) runServer(ctx context.Context, o serving) error {
	if err := o.check(); err != nil {
		return err
	}
	stdio := slices.Contains(o.transports, "stdio")
	if stdio {
		os.Stdout = os.Stderr // stdout is the protocol's: a stray print must not break it
	}
	a, err := c.assemble(appOptions{paths: c.allowed(stdio), syncLimit: syncLimit})
	if err != nil {
		return err
	}
	return errors.Join(c.serveAll(ctx, a, o, stdio), a.close())
}

// serveAll serves every transport until the input ends (with stdio) or the
// context does.
func (c *cli) serveAll(ctx context.Context, a *app, o serving, stdio bool) error {
	log, err := c.logger()
	if err != nil {
		return err
	}
	srv := mcpserver.New(a.engine, mcpserver.Options{Version: Version, Logger: log})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, gctx := errgroup.WithContext(ctx)
	if slices.Contains(o.transports, "http") {
		l, err := mcpserver.ListenLoopback(gctx, o.listen)
		if err != nil {
			return usageError{err}
		}
		c.announce(l)
		mounts := map[string]http.Handler{}
		if o.gateway {
			mounts["/ipfs/"] = a.store.Gateway()
		}
		group.Go(func() error { return srv.ServeHTTP(gctx, l, mounts) })
	}
	if stdio {
		group.Go(func() error {
			defer cancel() // the client has gone
			return srv.ServeStdio(gctx, c.in, c.out, o.drain)
		})
	}
	return group.Wait()
}

// announce says where the server listens, on stderr: port 0 picks one.
func (c *cli) announce(l net.Listener) {
	fmt.Fprintf(c.err, "listening on http://%s/mcp\n", l.Addr()) //nolint:errcheck // stderr may be closed
}

// allowed says which files callers of a server may name.
func (c *cli) allowed(stdio bool) engine.Paths {
	p := engine.Paths{Hint: "start the server with --allow-path FOLDER, or add the folder to \"allow_paths\" in its config.json"}
	for _, dir := range c.allow {
		if abs, err := filepath.Abs(dir); err == nil {
			p.Allowed = append(p.Allowed, abs)
		}
	}
	if stdio {
		p.Allowed = append(p.Allowed, defaultAllowed(workingDirectory(), userHome())...)
	}
	if len(p.Allowed) > 0 {
		p.Hint = "allowed is " + strings.Join(p.Allowed, ", ") + "; more with --allow-path FOLDER when the server is started"
	}
	return p
}
