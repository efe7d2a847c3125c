package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
)

// Trust has an origin believe a server's certificate.
func Trust(h *Origin, c *x509.Certificate) {
	pool := x509.NewCertPool()
	pool.AddCert(c)
	h.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// DialElsewhere connects to where a hub of the open network has sent us.
func DialElsewhere(ctx context.Context, addr string) error {
	conn, err := (&dialer{hub: "hub.example:443"}).dial(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
