package mcpserver

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// slots are places that are taken and given back.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

// take takes a place, if one is free.
func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) give() { <-s }

// full refuses what is over a limit, and names the limit.
func full(w http.ResponseWriter, limit string, n int) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, fmt.Sprintf("overloaded: %d %s are open (limit %s); try again later", n, limit, limit), http.StatusServiceUnavailable)
}

// heartbeat is how often an idle event stream says that it is there.
const heartbeat = 30 * time.Second

// A crowd is a listener that lets in so many connections at once.
type crowd struct {
	net.Listener
	free slots
	tls  bool
}

// Accept returns the next connection that there is room for.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.free.take() {
			return &guest{Conn: conn, leave: sync.OnceFunc(c.free.give)}, nil
		}
		c.refuse(conn)
	}
}

// refuse says what is the matter, where it can be said without a handshake.
func (c *crowd) refuse(conn net.Conn) {
	defer conn.Close()
	if c.tls {
		return
	}
	reason := fmt.Sprintf("overloaded: %d connections are open (limit connections); try again later\n", cap(c.free))
	conn.SetWriteDeadline(time.Now().Add(time.Second)) //nolint:errcheck // it is closed next
	fmt.Fprintf(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nRetry-After: 1\r\nConnection: close\r\n\r\n", len(reason))
	io.WriteString(conn, reason) //nolint:errcheck // as above
}

// A guest is a connection that gives its place back.
type guest struct {
	net.Conn
	leave func()
}

// Close ends the connection.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
