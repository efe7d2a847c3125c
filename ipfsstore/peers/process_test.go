package peers_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

// program is the host's, built once.
var program string

// asClient is the variable that makes this test a client of the home it names.
const asClient = "PEERS_TEST_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(asClient); home != "" {
		if err := beClient(home, os.Getenv("PEERS_TEST_PROGRAM")); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "peers-test")
	if err == nil {
		program = filepath.Join(dir, "ipfs-accelerate-p2p")
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		var out []byte
		if out, err = exec.Command("go", "build", "-o", program, "github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/ipfs-accelerate-p2p").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// config is a home's, on loopback.
func config(home string) peers.Config {
	return peers.Config{Home: home, Store: filepath.Join(home, "store"), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Linger: 200 * time.Millisecond}
}

// beClient joins or starts the host of home, says which process that is, and
// lets go of it when its input ends.
func beClient(home, program string) error {
	c := peers.New(peers.Options{Config: config(home), Command: []string{program}})
	defer c.Close()
	st, err := c.Status(patient(), true)
	if err != nil {
		return err
	}
	fmt.Println(st.PID)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A process is a client in a process of its own.
type process struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

func startClient(t *testing.T, home string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asClient+"="+home, "PEERS_TEST_PROGRAM="+program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // if it has not ended
	return &process{cmd, in, bufio.NewReader(out)}
}

// pid is the host that the process uses.
func (p *process) pid(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("%q: %v", line, err)
	}
	return strings.TrimSpace(line)
}

func (p *process) end(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.in.Close(), p.cmd.Wait()); err != nil {
		t.Error(err)
	}
}

// shortHome is a folder whose path leaves room for a socket.
func shortHome(t testing.TB) string {
	t.Helper()
	home, err := os.MkdirTemp("", "peers") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		over(t, home)
		os.RemoveAll(home)
	})
	return home
}

// over waits until no process is the host of home.
func over(t testing.TB, home string) {
	t.Helper()
	l := flock.New(filepath.Join(home, peers.LockFile))
	ctx := patient()
	if ok, err := l.TryLockContext(ctx, 20*time.Millisecond); !ok {
		t.Errorf("a host still runs: %v", err)
		return
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// Three processes that need a host at the same moment share one. It outlives
// the one that started it, and ends with the last.
func TestJoin_threeProcesses(t *testing.T) {
	home := shortHome(t)
	clients := []*process{startClient(t, home), startClient(t, home), startClient(t, home)}
	pids := map[string]bool{}
	for _, c := range clients {
		pids[c.pid(t)] = true
	}
	if len(pids) != 1 {
		t.Fatalf("hosts %v; want one", pids)
	}
	for i, c := range clients {
		l := flock.New(filepath.Join(home, peers.LockFile))
		if ok, err := l.TryLock(); ok || err != nil {
			t.Errorf("no host with %d clients: %v", len(clients)-i, err)
		}
		c.end(t)
	}
	over(t, home)
	last := startClient(t, home)
	if pid := last.pid(t); pids[pid] {
		t.Errorf("host %s is back", pid)
	}
	last.end(t)
}

// A client that is killed holds no host any more.
func TestJoin_clientKilled(t *testing.T) {
	home := shortHome(t)
	c := startClient(t, home)
	c.pid(t)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	over(t, home)
}

// newClient is a client in this process.
func newClient(t testing.TB, c peers.Config, command ...string) *peers.Client {
	t.Helper()
	if command == nil {
		command = []string{program}
	}
	client := peers.New(peers.Options{Config: c, Command: command})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func status(t testing.TB, c *peers.Client) peers.Status {
	t.Helper()
	st, err := c.Status(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// share makes a model in a home's store and shares it.
func share(t testing.TB, c peers.Config, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ipfsstore.Open(c.Store, ipfsstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := s.Add(t.Context(), dir, ipfsstore.AddOptions{Copy: true})
	if err == nil {
		_, err = s.Share(t.Context(), a.Root, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a.Root
}

// fetch fetches a model into an empty store from the peers of c.
func fetch(t testing.TB, c *peers.Client, root string) (ipfsstore.Fetched, error) {
	t.Helper()
	sources, err := c.Sources()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
}

// A host that is killed is an end of what it was doing; the next fetch starts
// another and works.
func TestFetch_hostKilled(t *testing.T) {
	giver, taker := config(shortHome(t)), config(shortHome(t))
	root := share(t, giver, make([]byte, 3<<20))
	first := newClient(t, taker)
	giver.Allow = []string{status(t, first).ID}
	from := status(t, newClient(t, giver))
	if err := peers.Change(taker.Home, func(b *peers.Book) {
		b.Allow, b.Peers = []string{from.ID}, []string{from.Addresses[0]}
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if f, err := fetch(t, first, root); err != nil || f.Bytes != 3<<20 || f.Level != "L4" {
			t.Fatalf("%d bytes at %s: %v", f.Bytes, f.Level, err)
		}
		pid := status(t, first).PID
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
		over(t, taker.Home)
	}
}

// Keep starts another host when one is killed, without anybody asking.
func TestKeep(t *testing.T) {
	c := config(shortHome(t))
	client, other := newClient(t, c), newClient(t, c)
	done := make(chan struct{})
	ctx, cancel := contextOf(t)
	go func() { defer close(done); client.Keep(ctx) }()
	defer func() { cancel(); <-done }()
	seen := map[int]bool{}
	for len(seen) < 3 {
		st, err := other.Status(t.Context(), false)
		if err != nil || seen[st.PID] {
			<-time.After(20 * time.Millisecond) // until it is there
			continue
		}
		seen[st.PID] = true
		if p, err := os.FindProcess(st.PID); err != nil || p.Kill() != nil {
			t.Fatalf("process %d: %v", st.PID, err)
		}
	}
}

// What keeps a host from starting is said, and not tried again at once.
func TestJoin_fails(t *testing.T) {
	c := config(shortHome(t))
	missing := newClient(t, c, filepath.Join(c.Home, "nowhere"))
	if err := missing.Join(t.Context()); !errors.Is(err, peers.ErrNoHost) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want ErrNoHost and that the program is not there", err)
	}
	wrong := c
	wrong.Allow = []string{"nobody"}
	client := newClient(t, wrong)
	err := client.Join(t.Context())
	if !errors.Is(err, peers.ErrNoHost) || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("%v, want ErrNoHost and what is wrong", err)
	}
	if again := client.Join(t.Context()); again == nil || again.Error() != err.Error() {
		t.Errorf("%v, want the error of before", again)
	}
	if _, err := newClient(t, c).Status(t.Context(), false); !errors.Is(err, peers.ErrNoHost) {
		t.Errorf("%v, want ErrNoHost", err)
	}
	long := c
	long.Home = filepath.Join(c.Home, strings.Repeat("x", 100))
	if err := newClient(t, long).Join(t.Context()); !errors.Is(err, ipfsstore.ErrTooLarge) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that the path is too long", err)
	}
}

func TestBook(t *testing.T) {
	home := t.TempDir()
	for _, id := range []string{"b", "a", "b"} {
		if err := peers.Change(home, func(b *peers.Book) { b.Allow = append(b.Allow, id) }); err != nil {
			t.Fatal(err)
		}
	}
	b, err := peers.ReadBook(home)
	if err != nil || strings.Join(b.Allow, " ") != "a b" {
		t.Errorf("allowed are %q, %v; want a and b", b.Allow, err)
	}
	if err := os.WriteFile(filepath.Join(home, peers.BookFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := peers.Change(home, func(*peers.Book) {}); err == nil {
		t.Error("a book that can't be read was written over")
	}
	if left, err := filepath.Glob(filepath.Join(home, "*.*.*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
