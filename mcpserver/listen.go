package mcpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrExposed is the error for an address that others than this machine could
// reach, where nothing keeps strangers out.
var ErrExposed = errors.New("not on the loopback interface")

// ListenOptions say where a server listens, and what keeps strangers out.
type ListenOptions struct {
	Address  string // HOST:PORT, or unix:PATH
	Token    bool   // clients must have the token
	CertFile string // of TLS, with KeyFile; both are read again when they change
	KeyFile  string

	// InsecurePlaintext allows an address that is not on the loopback
	// interface without TLS: whoever can listen on the way sees the token and
	// everything else.
	InsecurePlaintext bool

	Logger *slog.Logger // nil means silence
}

// Listen listens on an address of the loopback interface or a Unix socket that
// only its owner can open, and on any other only with a token and TLS: else it
// returns [ErrExposed].
func Listen(ctx context.Context, o ListenOptions) (net.Listener, error) {
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("TLS takes a certificate file and a key file")
	}
	if path, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		return listenUnix(ctx, path)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	var config *tls.Config
	if o.CertFile != "" {
		cert := &certificate{cert: o.CertFile, key: o.KeyFile, log: orSilent(o.Logger)}
		if err := cert.load(); err != nil {
			return nil, fmt.Errorf("read the TLS certificate: %w", err)
		}
		config = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get, NextProtos: []string{"http/1.1"}}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.Address)
	if err != nil || config == nil {
		return l, err
	}
	return secured{tls.NewListener(l, config), l, config}, nil
}

// secured is a listener whose connections begin with a handshake.
type secured struct {
	net.Listener
	plain  net.Listener
	config *tls.Config
}

// check refuses an address that is open to strangers.
func (o ListenOptions) check() error {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return fmt.Errorf("listen address %q is neither HOST:PORT nor unix:PATH: %w", o.Address, ErrExposed)
	}
	ip := net.ParseIP(host)
	switch {
	case host == "localhost" || ip != nil && ip.IsLoopback():
		return nil
	case !o.Token:
		return fmt.Errorf("listen address %q without a token: %w; use 127.0.0.1:PORT or a token", o.Address, ErrExposed)
	case o.CertFile == "" && !o.InsecurePlaintext:
		return fmt.Errorf("listen address %q without TLS: %w; use 127.0.0.1:PORT or TLS", o.Address, ErrExposed)
	}
	return nil
}

// listenUnix listens on a socket that is this user's alone. A socket that a
// dead server left is replaced.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen on unix:%s: %w", path, errInUse)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

var errInUse = errors.New("address already in use")

// A certificate is a pair of files, read again when they change.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex // guards what follows
	pair   *tls.Certificate
	stamp  string
	looked time.Time
}

// certEvery is how long a certificate is used before its files are looked at.
const certEvery = time.Second

// get returns the certificate that the files hold now, or the one before if
// they hold none.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	due := time.Since(c.looked) >= certEvery
	c.mu.Unlock()
	if due {
		if err := c.load(); err != nil {
			c.log.Warn("the TLS certificate can't be read; the one before stays in use", "error", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair, nil
}

// load reads the files if they changed.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = time.Now()
	var stamp strings.Builder
	for _, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		fmt.Fprintln(&stamp, info.ModTime().UnixNano(), info.Size())
	}
	if stamp.String() == c.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return err
	}
	c.pair, c.stamp = &pair, stamp.String()
	return nil
}

func orSilent(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
