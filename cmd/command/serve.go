package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// syncLimit is how long a tool call waits for long work: clients give up on a
// call after a minute.
const syncLimit = 45 * time.Second

// serverRuntimeHint is for an agent, which may have no shell on this machine.
const serverRuntimeHint = "set ORT_LIB in the server's environment, or have a person run: ipfs-accelerate runtime install"

// tokenName is the file of the data directory that holds the token of http.
const tokenName = "token"

func (c *cli) serve() *cobra.Command {
	var bundled string
	cmd := &cobra.Command{
		Use:   "serve [FOLDER...]",
		Short: "Serve the tools to AI agents over MCP",
		Long:  "Serve the tools to AI agents over MCP. Each FOLDER is one whose files callers may\nname, as with --allow-path. Every flag is also a key of the configuration:\n--listen is server.listen; docs://configuration has all of them.",
		Example: `  ipfs-accelerate serve
  ipfs-accelerate serve --transport http --listen 127.0.0.1:8765 --gateway
  ipfs-accelerate serve --transport stdio,http --listen unix:/run/user/1000/accelerate.sock
  ipfs-accelerate serve --transport http --listen 0.0.0.0:8765 --tls-cert cert.pem --tls-key key.pem --allow-host gpu.example
  ipfs-accelerate serve --source http://127.0.0.1:8080 --allow-path ~/models`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, folders []string) error {
			c.allow = append(c.allow, folders...)
			return c.runServer(cmd.Context(), bundled)
		},
	}
	f := cmd.Flags()
	f.StringVar(&bundled, "add-models", "", "folder of model folders to add to the store under their names, unless a name is taken")
	c.keyFlags(f, false, func(name string, k config.Key) bool {
		return name != k.Flags[0] && strings.HasPrefix(k.Name, "server.")
	})
	f.StringArrayVar(&c.allow, "allow-path", nil, "folder whose files callers may name (repeatable)")
	return cmd
}

// checkServer refuses what can't be meant.
func checkServer(l *config.Loaded) error {
	if l.Server.Gateway && !slices.Contains(l.Server.Transport, "http") && l.Origin("server.gateway").Level == config.Flag {
		return usageError{errors.New("--gateway needs --transport http")}
	}
	return nil
}

func (c *cli) runServer(ctx context.Context, bundled string) error {
	conf, err := c.configure()
	if err != nil {
		return err
	}
	if err := checkServer(conf); err != nil {
		return err
	}
	stdio := slices.Contains(conf.Server.Transport, "stdio")
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
	if len(conf.Server.Transport) == 1 && stdio {
		defer halfOfProcessors()()
	}
	a, err := c.assemble(appOptions{conf: conf, serving: true, allow: allow, syncLimit: syncLimit, runtimeHint: serverRuntimeHint}) //nolint:contextcheck // what is opened stays open until it is closed
	if err != nil {
		return err
	}
	if err := a.addModels(ctx, bundled); err != nil {
		return errors.Join(err, a.close()) //nolint:contextcheck // what is open is closed after the context is done
	}
	return errors.Join(c.serveAll(ctx, a, stdio), a.close()) //nolint:contextcheck // what is open is closed after the context is done
}

// halfOfProcessors has the scheduler use half of the processors, at least one,
// until the returned func is called. One client mostly calls once at a time, and
// its call would move from one processor to the next at every hand-over, to where
// a runner computes. GOMAXPROCS in the environment is left as it is.
func halfOfProcessors() (undo func()) {
	before := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, before/2))
	}
	return func() { runtime.GOMAXPROCS(before) }
}

// serveAll serves every transport until the input ends (with stdio) or the
// context does.
func (c *cli) serveAll(ctx context.Context, a *app, stdio bool) error {
	conf := a.settings()
	srv := mcpserver.New(a.engine, mcpserver.Options{
		Version: Version, Logger: a.log, Limits: limits(conf.Server.Limits), Observe: a.watch.called, Views: a.views(),
	})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, gctx := errgroup.WithContext(ctx)
	if slices.Contains(conf.Server.Transport, "http") {
		options, err := c.httpOptions(a)
		if err != nil {
			return err
		}
		l, err := c.listen(gctx, a, options.Token != "")
		if err != nil {
			return err
		}
		group.Go(func() error { return srv.ServeHTTP(gctx, l, options) })
	}
	if stdio {
		group.Go(func() error {
			defer cancel() // the client has gone
			return srv.ServeStdio(gctx, pollable(c.in), c.out, time.Duration(conf.Server.DrainTimeout))
		})
	}
	c.tend(gctx, a, group)
	return group.Wait()
}

// canaryEvery is how often the devices that are in use are checked.
const canaryEvery = time.Hour

// tend does what a server does beside answering: it opens the models that were
// named, checks the devices by the clock, and reads the configuration again
// when it is told to.
func (c *cli) tend(ctx context.Context, a *app, group *errgroup.Group) {
	group.Go(func() error {
		for _, model := range a.settings().Models {
			if err := a.engine.Warm(ctx, tilde(model)); err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "a model of the configuration can't be opened", "model", model, "error", err)
			}
		}
		return nil
	})
	if a.settings().P2P.Enabled {
		group.Go(func() error {
			a.peers.Keep(ctx)
			return nil
		})
	}
	group.Go(func() error {
		a.engine.Watch(ctx, canaryEvery)
		return nil
	})
	group.Go(func() error {
		onHangup(ctx, func() { c.reload(ctx, a) })
		return nil
	})
}

// limits are the server's, out of the configuration's.
func limits(l config.Limits) mcpserver.Limits {
	return mcpserver.Limits{
		Body: int64(l.Body), Header: int(l.Header), Line: int(l.Line), Depth: l.Depth, Calls: l.Calls, Sessions: l.Sessions, Streams: l.Streams,
		Connections: l.Connections, Rate: l.Rate, Patience: time.Duration(l.Patience), Idle: time.Duration(l.Idle),
	}
}

// httpOptions are what is served over HTTP, and to whom.
func (c *cli) httpOptions(a *app) (mcpserver.HTTPOptions, error) {
	conf := a.settings().Server
	options := mcpserver.HTTPOptions{
		Hosts: conf.AllowHost, Drain: time.Duration(conf.DrainTimeout), OpenMounts: map[string]http.Handler{},
		Metrics: a.watch.metrics, Ready: a.ready, Report: a.report,
	}
	if conf.Gateway {
		options.OpenMounts["/ipfs/"] = a.visible(conf.Listen).Gateway()
	}
	if conf.Auth == "none" {
		return options, nil
	}
	var err error
	options.Token, err = mcpserver.LoadToken(filepath.Join(a.home, tokenName))
	return options, err
}

// visible is what of the store is served at an address: all of it to this
// machine, what is shared to others.
func (a *app) visible(listen string) *ipfsstore.View {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	if strings.HasPrefix(listen, "unix:") || err == nil && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return a.store.All()
	}
	return a.store.Shared()
}

// listen begins to listen, and says where on stderr: port 0 picks one. The
// token is not said, for stderr may be kept.
func (c *cli) listen(ctx context.Context, a *app, token bool) (net.Listener, error) {
	conf := a.settings().Server
	l, err := mcpserver.Listen(ctx, mcpserver.ListenOptions{
		Address: conf.Listen, Token: token, CertFile: tilde(conf.TLSCert), KeyFile: tilde(conf.TLSKey), InsecurePlaintext: conf.InsecurePlaintext, Logger: a.log,
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
		where = conf.Listen + " (/mcp)"
	case conf.TLSCert != "":
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
