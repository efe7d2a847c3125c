package ipfsstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// smallDisk is a file system of so many bytes, for whoever may mount one.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skip("no file system can be mounted:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// nothingHalf checks that a store holds no model and no leftovers of one.
func nothingHalf(t *testing.T, s *ipfsstore.Store) {
	t.Helper()
	if all, err := s.List(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("models: %v, %v", all, err)
	}
	for _, d := range []string{"blobs", "tmp"} {
		if left, err := os.ReadDir(filepath.Join(ipfsstore.Dir(s), d)); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", d, left, err)
		}
	}
}

func TestStore_diskFull(t *testing.T) {
	t.Parallel()
	whole, dir := openStore(t), modelFolder(t)
	root := mustAdd(t, whole, dir, ipfsstore.AddOptions{}).Root
	var car bytes.Buffer
	if err := whole.Export(t.Context(), root, &car); err != nil {
		t.Fatal(err)
	}
	v := &visitors{Handler: whole.Gateway()}
	s, err := ipfsstore.Open(filepath.Join(smallDisk(t, 3*mib), "store"), ipfsstore.Options{Sources: []ipfsstore.Source{storetest.Gateway(t, "whole", v)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for name, do := range map[string]func() error{
		"add": func() error { _, err := s.Add(t.Context(), dir, ipfsstore.AddOptions{Copy: true}); return err },
		"import": func() error {
			_, err := s.Import(t.Context(), bytes.NewReader(car.Bytes()), ipfsstore.AddOptions{})
			return err
		},
		"import of a file": func() error {
			_, err := s.Import(t.Context(), fileOf(t, car.Bytes()), ipfsstore.AddOptions{})
			return err
		},
		"fetch": func() error { _, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); return err },
	} {
		if err := do(); !errors.Is(err, ipfsstore.ErrDiskFull) {
			t.Errorf("%s: %v, want ErrDiskFull", name, err)
		}
		nothingHalf(t, s)
	}
	if v.were(leafOf(modelFiles()["onnx/model.onnx"], 0)) || v.were(leafOf(modelFiles()["tokenizer.json"], 0)) {
		t.Error("leaves came of what there is no room for")
	}
	if _, err := s.GC(t.Context(), ipfsstore.GCOptions{}); err != nil {
		t.Error(err)
	}
	small := filepath.Join(t.TempDir(), "small")
	writeTree(t, small, map[string][]byte{"x": stream("x", mib)})
	a := mustAdd(t, s, small, ipfsstore.AddOptions{Copy: true})
	sameTree(t, a, map[string][]byte{"x": stream("x", mib)})
}

// TestStore_noRoomForRecords fills the disk to the last byte, where files can
// still be linked: only what the store itself writes does not fit.
func TestStore_noRoomForRecords(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 2*mib)
	dir, filler := filepath.Join(disk, "model"), filepath.Join(disk, "filler")
	writeTree(t, dir, map[string][]byte{"a": stream("a", 1000), "b": stream("b", 1000)})
	s, err := ipfsstore.Open(filepath.Join(disk, "store"), ipfsstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, strings.NewReader(strings.Repeat("x", 4*mib))); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk did not fill: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), dir, ipfsstore.AddOptions{Name: "m"}); !errors.Is(err, ipfsstore.ErrDiskFull) {
		t.Errorf("%v, want ErrDiskFull", err)
	}
	if all, err := s.List(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("models: %v, %v", all, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
	if err := s.Verify(t.Context(), a.Root); err != nil {
		t.Error(err)
	}
}

// inChild runs one test again in a process of its own, by way of before, and
// reports whether this is that process.
func inChild(t *testing.T, before func(*exec.Cmd)) bool {
	t.Helper()
	if os.Getenv("TEST_CHILD") == t.Name() {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "TEST_CHILD="+t.Name())
	before(cmd)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

const nobody = 65534

// TestOpen_unreadable is about files that their owner may no longer read, which
// root always may.
func TestOpen_unreadable(t *testing.T) {
	child := inChild(t, func(cmd *exec.Cmd) {
		if os.Getuid() != 0 {
			return
		}
		base, err := os.MkdirTemp("", "unreadable-") //nolint:usetesting // another user has to get there
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(base) })
		data, err := os.ReadFile(cmd.Path)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path, cmd.Dir = filepath.Join(base, "test"), base
		if err := errors.Join(os.WriteFile(cmd.Path, data, 0o755), os.Chmod(base, 0o755), os.Mkdir(filepath.Join(base, "tmp"), 0o700), os.Chown(filepath.Join(base, "tmp"), nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "TMPDIR="+filepath.Join(base, "tmp"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	})
	if !child {
		return
	}
	dir, s := modelFolder(t), openStore(t)
	mustAdd(t, s, dir, ipfsstore.AddOptions{Name: "m"})
	src := filepath.Join(dir, "tokenizer.json")
	if err := os.Chmod(src, 0); err != nil {
		t.Fatal(err)
	}
	_, err := s.Open(t.Context(), "m")
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, ipfsstore.ErrModelChanged) || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("%v, want that tokenizer.json can't be read", err)
	}
	if _, err := openStore(t).Add(t.Context(), dir, ipfsstore.AddOptions{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("added: %v", err)
	}
	if err := os.Chmod(src, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := s.Open(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, a, modelFiles())
	if fi, err := os.Stat(src); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

// TestStore_order traces the system calls of an import, a fetch and an Add: each
// file is on disk before it gets its CID for a name, and so is its folder before
// a record names it.
func TestStore_order(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no strace:", err)
		}
		t.Skip("no strace:", err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	child := inChild(t, func(cmd *exec.Cmd) {
		if err := exec.CommandContext(t.Context(), "strace", "-o", trace, "true").Run(); err != nil {
			t.Skip("processes can't be traced here:", err)
		}
		args := []string{"strace", "-f", "-qq", "-y", "-s", "4096", "-e", "trace=fsync,syncfs,rename,renameat,renameat2", "-o", trace}
		cmd.Args = append(args, cmd.Args...)
		cmd.Path, _ = exec.LookPath("strace") // it was found above
	})
	if child {
		traced(t)
		return
	}
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	checkOrder(t, string(data))
}

// traced is what is traced.
func traced(t *testing.T) {
	few, many := modelFolder(t), filepath.Join(t.TempDir(), "many")
	for i := range 50 { // enough for the whole file system to be flushed at once
		writeTree(t, many, map[string][]byte{fmt.Sprint(i): stream(fmt.Sprint(i), 100)})
	}
	from := openStore(t)
	for _, dir := range []string{few, many} {
		for _, o := range []ipfsstore.AddOptions{{}, {Copy: true}} {
			root := mustAdd(t, from, dir, o).Root
			to := openStore(t, gateway(t, "from", from))
			if _, err := to.Fetch(t.Context(), root, ipfsstore.FetchOptions{}); err != nil {
				t.Fatal(err)
			}
			var car bytes.Buffer
			if err := from.Export(t.Context(), root, &car); err != nil {
				t.Fatal(err)
			}
			if _, err := openStore(t).Import(t.Context(), &car, ipfsstore.AddOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var (
	syncCall   = regexp.MustCompile(`^(fsync|syncfs)\(\d+<([^>]+)>`)
	renameCall = regexp.MustCompile(`^rename(?:at2?)?\((?:AT_FDCWD<[^>]*>, )?"([^"]+)", (?:AT_FDCWD<[^>]*>, )?"([^"]+)"`)
)

// checkOrder replays a trace. A flush counts when it has ended, a rename when it
// begins.
func checkOrder(t *testing.T, trace string) {
	t.Helper()
	open := map[string]string{}    // by thread: a flush that has not ended
	flushed := map[string]bool{}   // files and folders
	unflushed := map[string]bool{} // folders with new blobs
	blobs, records := 0, 0
	ended := func(call string) {
		m := syncCall.FindStringSubmatch(call)
		if m == nil {
			return
		}
		flushed[m[2]] = true
		delete(unflushed, m[2])
		if m[1] == "syncfs" {
			flushed["all"] = true
			clear(unflushed)
		}
	}
	for line := range strings.Lines(trace) {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		switch {
		case strings.HasPrefix(call, "<... fsync"), strings.HasPrefix(call, "<... syncfs"):
			ended(open[pid])
			continue
		case strings.Contains(call, "<unfinished"):
			open[pid] = call
		default:
			ended(call)
		}
		m := renameCall.FindStringSubmatch(call)
		if m == nil {
			continue
		}
		from, to := m[1], m[2]
		switch filepath.Base(filepath.Dir(to)) {
		case "blobs":
			blobs++
			if !flushed[from] && !flushed["all"] {
				t.Errorf("%s gets its name before it is on disk", from)
			}
			unflushed[filepath.Dir(to)] = true
		case "roots":
			records++
			if !flushed[from] {
				t.Errorf("record %s gets its name before it is on disk", from)
			}
			if dir := filepath.Join(filepath.Dir(filepath.Dir(to)), "blobs"); unflushed[dir] {
				t.Errorf("record %s before the folder of its blobs is on disk", to)
			}
			delete(flushed, "all")
		}
	}
	if blobs < 100 || records < 10 {
		t.Errorf("only %d files and %d records were seen", blobs, records)
	}
}
