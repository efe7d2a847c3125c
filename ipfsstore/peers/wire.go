package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A Config is what the host process is told on its standard input, as JSON.
type Config struct {
	Home  string `json:"home"`  // the folder of its key, lock and socket
	Store string `json:"store"` // the store it serves from
	// Listen are the multiaddrs it listens on; none listen nowhere, which
	// still lets it ask others.
	Listen []string `json:"listen"`
	// Allow are the ids of the peers that may connect and get what is shared;
	// none is nobody.
	Allow []string `json:"allow"`
	// Peers are multiaddrs, with /p2p/ID, of peers it keeps connected to.
	// They may connect too, but get nothing unless they are allowed.
	Peers []string `json:"peers"`
	MDNS  bool     `json:"mdns"` // look for allowed peers on the local network
	// DHT makes it a node of the distributed hash table, in which it says
	// what is shared, and looks for who shares what.
	DHT bool `json:"dht"`
	// Bootstrap are multiaddrs, with /p2p/ID, by which it joins the table.
	Bootstrap []string `json:"bootstrap"`
	// Linger is how long the process stays when its last client has gone; 0
	// means three seconds.
	Linger time.Duration `json:"linger"`
}

// The files of a host, in its home.
const (
	SocketFile = "p2p.sock"
	LockFile   = "p2p.lock"
	KeyFile    = "p2p.key"
	LogFile    = "p2p.log"
	BookFile   = "peers.json"
)

// What a host process writes on its standard output, as one line, before it
// closes it.
const (
	Ready = "ready" // it serves its socket
	Taken = "taken" // another process is the host of this home
)

// PhaseHeader names the [ipfsstore.Phase] in which the host failed to get a
// block, in an answer that says so.
const PhaseHeader = "X-Phase"

// The routes of its socket, beside those of the sources.
const (
	RouteHold     = "/v1/hold"     // GET: answers at once and goes on until the client is gone
	RouteStatus   = "/v1/status"   // GET: a [Status]
	RouteConnect  = "/v1/connect"  // POST, the body is a multiaddr with /p2p/ID
	RouteAnnounce = "/v1/announce" // POST: tell the table what is shared now
)

// The names of the sources that a host has, which are their routes too.
const (
	Bitswap = "bitswap" // any peer that speaks bitswap
	Blob    = "peers"   // other hosts of this kind
)

// A Status is how a host is.
type Status struct {
	ID        string   `json:"id"`        // its peer id
	PID       int      `json:"pid"`       // of its process
	Addresses []string `json:"addresses"` // where others reach it, with /p2p/ID
	Shared    int      `json:"shared"`    // roots of models and files that are shared
	Peers     []Peer   `json:"peers"`     // best first
}

// A Peer is another host as this one knows it.
type Peer struct {
	ID        string        `json:"id"`
	Address   string        `json:"address,omitempty"` // of the connection
	Connected bool          `json:"connected"`
	Allowed   bool          `json:"allowed"`   // gets what is shared
	Latency   time.Duration `json:"latency"`   // until the first byte of an answer; 0 if unknown
	Bandwidth float64       `json:"bandwidth"` // bytes a second of one request; 0 if unknown
	Success   float64       `json:"success"`   // of the requests that it answered, 0 to 1
	Bytes     int64         `json:"bytes"`     // that came from it, verified
	Banned    bool          `json:"banned,omitempty"`
}

// A Book is the peers that a person has named by command, beside those of the
// configuration.
type Book struct {
	Allow []string `json:"allow"`
	Peers []string `json:"peers"`
}

// ReadBook reads the book of a home; none is an empty one.
func ReadBook(home string) (Book, error) {
	var b Book
	data, err := os.ReadFile(filepath.Join(home, BookFile))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return b, fmt.Errorf("read %s: %w", BookFile, err)
	}
	return b, nil
}

// Change reads the book of a home, changes it and writes it, whole or not at
// all.
func Change(home string, change func(*Book)) error {
	b, err := ReadBook(home)
	if err != nil {
		return err
	}
	change(&b)
	slices.Sort(b.Allow)
	slices.Sort(b.Peers)
	b.Allow, b.Peers = slices.Compact(b.Allow), slices.Compact(b.Peers)
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(home, BookFile+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(home, BookFile))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// maxSocket is the longest path of a socket that every system takes, in bytes.
const maxSocket = 103

// Socket is the path of a home's socket. One that is too long for the system is
// [ipfsstore.ErrTooLarge].
func Socket(home string) (string, error) {
	p := filepath.Join(home, SocketFile)
	if len(p) > maxSocket {
		return "", fmt.Errorf("%w: socket %s has more than %d characters; a shorter home is needed", ipfsstore.ErrTooLarge, p, maxSocket)
	}
	return p, nil
}
