package ipfsstore_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// childEnv has this program be another process: what it does and with what,
// separated by bars.
const childEnv = "IPFSSTORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		f := strings.Split(args, "|")
		fmt.Println("end:", childJobs[f[0]](f[1:]))
		return
	}
	if err := flag.Set("test.parallel", "8"); err != nil { // they wait for the disk more than for processors
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

// childJobs are what another process can be started for.
var childJobs = map[string]func(args []string) error{
	"fetch": childFetch,
	"loop":  childLoop,
	"mixed": childMixed,
}

// A process is this program as another process.
type process struct {
	*exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner // what it prints
}

// startChild starts a process that does a job.
func startChild(t *testing.T, args ...string) *process {
	t.Helper()
	return startProgram(t, os.Args[0], args...)
}

func startProgram(t *testing.T, program string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "|"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, in, bufio.NewScanner(out)}
}

func childStore(dir, gateway, hubURL string) (*ipfsstore.Store, error) {
	src, err := storetest.HTTP("gateway", gateway)
	if err != nil {
		return nil, err
	}
	o := ipfsstore.Options{Sources: []ipfsstore.Source{src}}
	if hubURL != "" {
		h, err := storetest.HubAt(hubURL)
		if err != nil {
			return nil, err
		}
		o.Origins = []ipfsstore.Origin{h}
	}
	return ipfsstore.Open(dir, o)
}

// childFetch fetches a root from a gateway into a store.
func childFetch(f []string) error {
	s, err := childStore(f[0], f[1], "")
	if err != nil {
		return err
	}
	_, err = s.Fetch(context.Background(), f[2], ipfsstore.FetchOptions{Progress: func(p ipfsstore.Progress) {
		fmt.Println(p.Phase, p.Done)
	}})
	return err
}

// childLoop does one thing over and over, until it is killed. What it fetches it
// tells the gateway of before and after.
func childLoop(f []string) error {
	job, dir, gateway, hubURL, root, folder := f[0], f[1], f[2], f[3], f[4], f[5]
	s, err := childStore(dir, gateway, hubURL)
	if err != nil {
		return err
	}
	for {
		fmt.Println("go")
		if err := loopOnce(context.Background(), s, job, gateway, root, folder); err != nil {
			return err
		}
	}
}

func loopOnce(ctx context.Context, s *ipfsstore.Store, job, gateway, root, folder string) error {
	switch job {
	case "fetch", "named":
		ref := root
		if job == "named" {
			ref = "hf://org/model"
		}
		if err := tell(ctx, gateway+"/start"); err != nil {
			return err
		}
		a, err := s.Fetch(ctx, ref, ipfsstore.FetchOptions{})
		if err != nil {
			return err
		}
		return errors.Join(tell(ctx, gateway+"/end"), s.Remove(ctx, a.Root, true))
	case "import":
		a, err := s.Add(ctx, folder, ipfsstore.AddOptions{Copy: true, Name: "imported"})
		if err != nil {
			return err
		}
		return s.Remove(ctx, a.Root, true)
	case "car":
		f, err := os.Open(folder + ".car")
		if err != nil {
			return err
		}
		defer f.Close()
		a, err := s.Import(ctx, f, ipfsstore.AddOptions{Pin: true})
		if err != nil {
			return err
		}
		return s.Remove(ctx, a.Root, true)
	case "gc":
		if _, err := s.Add(ctx, folder, ipfsstore.AddOptions{Copy: true}); err != nil {
			return err
		}
		_, err := s.GC(ctx, ipfsstore.GCOptions{MaxBytes: 1})
		return err
	case "pin":
		if _, err := s.Pin(ctx, "pinned", false); err != nil {
			return err
		}
		_, err := s.Pin(ctx, "pinned", true)
		return err
	}
	return fmt.Errorf("no job %q", job)
}

func tell(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// childMixed adds, fetches, removes and makes room at random until its input
// ends. What others do to the same store at the same time may get in its way,
// but only in ways that are known.
func childMixed(f []string) error {
	dir, gateway, root, seed := f[0], f[1], f[2], f[3]
	s, err := childStore(dir, gateway, "")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // its end is the sign
		stop()
	}()
	var n uint64
	if _, err := fmt.Sscan(seed, &n); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(n, 1))
	done := 0
	for ; ctx.Err() == nil; done++ {
		folder := filepath.Join(filepath.Dir(dir), fmt.Sprint("folder", rng.IntN(3)))
		var err error
		switch rng.IntN(6) {
		case 0, 1:
			_, err = s.Add(ctx, folder, ipfsstore.AddOptions{Copy: rng.IntN(2) == 0})
		case 2:
			_, err = s.Fetch(ctx, root, ipfsstore.FetchOptions{})
		case 3:
			err = removeAny(ctx, s, rng)
		case 4:
			_, err = s.GC(ctx, ipfsstore.GCOptions{MaxBytes: 1 << 20})
		case 5:
			_, err = s.VerifyAll(ctx, ipfsstore.VerifyOptions{Sample: 10})
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, ipfsstore.ErrNotFound) {
			return err
		}
	}
	fmt.Println("done", done)
	return nil
}

func removeAny(ctx context.Context, s *ipfsstore.Store, rng *rand.Rand) error {
	list, err := s.List(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	err = s.Remove(ctx, list[rng.IntN(len(list))].Root, true)
	if errors.Is(err, ipfsstore.ErrInUse) {
		return nil
	}
	return err
}
