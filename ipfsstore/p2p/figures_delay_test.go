//go:build figures && linux

package p2p_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// A delay is a way to a server that takes time and has room for everything: each
// byte arrives that long after it was sent, in either direction.
type delay struct {
	to     string
	oneWay time.Duration
	l      net.Listener
	work   sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

// newDelay returns the address of a delay to a TCP address.
func newDelay(t testing.TB, to string, oneWay time.Duration) net.Addr {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &delay{to: to, oneWay: oneWay, l: l}
	d.work.Go(d.accept)
	t.Cleanup(d.close)
	return l.Addr()
}

func (d *delay) close() {
	d.l.Close()
	d.mu.Lock()
	for _, c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	d.work.Wait()
}

func (d *delay) accept() {
	for {
		in, err := d.l.Accept()
		if err != nil {
			return // it is closed
		}
		out, err := net.Dial("tcp", d.to)
		if err != nil {
			in.Close()
			continue
		}
		d.mu.Lock()
		d.conns = append(d.conns, in, out)
		d.mu.Unlock()
		d.work.Go(func() { d.carry(in, out) })
		d.work.Go(func() { d.carry(out, in) })
	}
}

// A parcel is what is on its way.
type parcel struct {
	data []byte
	due  time.Time
}

// carry takes what comes from one end to the other, as long as both are there.
func (d *delay) carry(from, to net.Conn) {
	way := make(chan parcel, 1<<14)
	d.work.Go(func() {
		defer to.Close()
		for p := range way {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				from.Close()
			}
		}
	})
	defer close(way)
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			way <- parcel{append([]byte(nil), buf[:n]...), time.Now().Add(d.oneWay)}
		}
		if err != nil {
			return // io.EOF or closed: all the same
		}
	}
}
