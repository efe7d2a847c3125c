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
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// syncLimit is how long a tool call waits for long work: clients give up on a
// call after a minute.
const syncLimit = 45 * time.Second

// serverRuntimeHint is for an agent, which may have no shell on this machine.
const serverRuntimeHint = "set ORT_LIB in the server's environment, or have a person run: ipfs-accelerate runtime install"

// tokenName is the file of the data directory that holds the token of http.
const tokenName = "token"

// serving are the flags of serve.
type serving struct {
	transports []string
	listen     string
	gateway    bool
	drain      time.Duration

	auth      string
	hosts     []string
	cert, key string
	plaintext bool
}

func (c *cli) serve() *cobra.Command {
	var o serving
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the tools to AI agents over MCP",
		Example: `  ipfs-accelerate serve
  ipfs-accelerate serve --transport http --listen 127.0.0.1:8765 --gateway
  ipfs-accelerate serve --transport stdio,http --listen unix:/run/user/1000/accelerate.sock
  ipfs-accelerate serve --transport http --listen 0.0.0.0:8765 --tls-cert cert.pem --tls-key key.pem --allow-host gpu.example
  ipfs-accelerate serve --source http://127.0.0.1:8080 --allow-path ~/models`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runServer(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.transports, "transport", []string{"stdio"}, "stdio, http or stdio,http")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8765", "HOST:PORT or unix:PATH for http: /mcp, /sse, /metrics, /healthz, /readyz and, with --gateway, /ipfs/")
	f.BoolVar(&o.gateway, "gateway", false, "serve the models of the store under /ipfs/ as a trustless gateway")
	f.StringArrayVar(&c.allow, "allow-path", nil, "folder whose files callers may name (repeatable)")
	f.StringVar(&o.auth, "auth", "token", "token: clients of http send the token in the data directory's file \"token\"; none: nobody is asked, on this machine only")
	f.StringArrayVar(&o.hosts, "allow-host", nil, "name that clients may use for this server, beside localhost and its addresses (repeatable)")
	f.StringVar(&o.cert, "tls-cert", "", "file with the certificate chain for https; read again when it changes")
	f.StringVar(&o.key, "tls-key", "", "file with the certificate's key")
	f.BoolVar(&o.plaintext, "insecure-plaintext", false, "allow an address that others can reach without TLS: whoever listens on the way sees the token and all else")
	f.DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long calls may go on after the input ends or the server is stopped")
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
	if o.auth != "token" && o.auth != "none" {
		return usageError{fmt.Errorf("--auth %q is neither token nor none", o.auth)}
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
	allow, err := allowedFolders(c.allow)
	if err != nil {
		return usageError{err}
	}
	if stdio {
		allow = append(allow, workingDirectory()...)
		c.greet()
	}
	a, err := c.assemble(appOptions{allow: allow, syncLimit: syncLimit, runtimeHint: serverRuntimeHint}) //nolint:contextcheck // what is opened stays open until it is closed
	if err != nil {
		return err
	}
	return errors.Join(c.serveAll(ctx, a, o, stdio), a.close()) //nolint:contextcheck // what is open is closed after the context is done
}

// serveAll serves every transport until the input ends (with stdio) or the
// context does.
func (c *cli) serveAll(ctx context.Context, a *app, o serving, stdio bool) error {
	srv := mcpserver.New(a.engine, mcpserver.Options{Version: Version, Logger: a.log})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, gctx := errgroup.WithContext(ctx)
	if slices.Contains(o.transports, "http") {
		options, err := c.httpOptions(a, o)
		if err != nil {
			return err
		}
		l, err := c.listen(gctx, a, o, options.Token != "")
		if err != nil {
			return err
		}
		group.Go(func() error { return srv.ServeHTTP(gctx, l, options) })
	}
	if stdio {
		group.Go(func() error {
			defer cancel() // the client has gone
			return srv.ServeStdio(gctx, c.in, c.out, o.drain)
		})
	}
	return group.Wait()
}

// httpOptions are what is served over HTTP, and to whom.
func (c *cli) httpOptions(a *app, o serving) (mcpserver.HTTPOptions, error) {
	options := mcpserver.HTTPOptions{
		Hosts: o.hosts, Drain: o.drain, OpenMounts: map[string]http.Handler{},
		Ready: func(ctx context.Context) error { _, err := a.engine.Models(ctx); return err },
	}
	if o.gateway {
		options.OpenMounts["/ipfs/"] = a.store.Gateway()
	}
	if o.auth == "none" {
		return options, nil
	}
	var err error
	options.Token, err = mcpserver.LoadToken(filepath.Join(a.home, tokenName))
	return options, err
}

// listen begins to listen, and says where on stderr: port 0 picks one. The
// token is not said, for stderr may be kept.
func (c *cli) listen(ctx context.Context, a *app, o serving, token bool) (net.Listener, error) {
	l, err := mcpserver.Listen(ctx, mcpserver.ListenOptions{
		Address: o.listen, Token: token, CertFile: o.cert, KeyFile: o.key, InsecurePlaintext: o.plaintext, Logger: a.log,
	})
	if errors.Is(err, mcpserver.ErrExposed) {
		return nil, usageError{err}
	}
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("http://%s/mcp", l.Addr())
	switch {
	case l.Addr().Network() == "unix":
		where = o.listen + " (/mcp)"
	case o.cert != "":
		where = fmt.Sprintf("https://%s/mcp", l.Addr())
	}
	if token {
		fmt.Fprintf(c.err, "the token that clients send is in %s\n", filepath.Join(a.home, tokenName))
	}
	fmt.Fprintf(c.err, "listening on %s\n", where)
	return l, nil
}

// greet tells a person who started the server by hand what it waits for.
func (c *cli) greet() {
	if isTerminal(c.in) {
		fmt.Fprintln(c.err, "waiting for MCP messages on stdin: an AI client starts this command by itself; Ctrl-C ends it")
	}
}
