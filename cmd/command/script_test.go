package command_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

// The three binaries under test, built once.
var program, native, host string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "command-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) error {
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	program, native = filepath.Join(dir, "ipfs-accelerate"+suffix), filepath.Join(dir, "ipfs-accelerate-native"+suffix)
	host = filepath.Join(dir, "ipfs-accelerate-p2p"+suffix)
	for path, cgo := range map[string]string{program: "0", native: "1", host: "0"} {
		name := strings.TrimSuffix(filepath.Base(path), suffix)
		cmd := exec.Command("go", "build", "-o", path, "github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// The program as people and agents use it. In the scripts,
//
//	exits CODE ARGS…            runs the program and wants its exit code; with
//	                            --json or call, stdout must be JSON and no more
//	json FILE PATH REGEXP       wants a value in a file of JSON, or in stdout
//	keep VAR FILE PATH          sets a variable to such a value
//	fits TOOL FILE              wants an answer that fits the tool's schema
//	jsonrpc FILE                wants every line to be a message of JSON-RPC
func TestScripts(t *testing.T) {
	library := enginetest.Runtime(t)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			user := filepath.Join(env.WorkDir, "user")
			env.Setenv("HOME", user)
			env.Setenv("IPFS_ACCELERATE_HOME", filepath.Join(env.WorkDir, "data"))
			env.Setenv("ORT_LIB", library)
			env.Setenv("EXAMPLES", examples)
			env.Setenv("HEADS", filepath.Join(filepath.Dir(examples), "cmd", "ipfs-accelerate-native", "testdata", "heads"))
			env.Setenv("EXTERNAL", filepath.Join(filepath.Dir(examples), "cmd", "command", "testdata", "external"))
			env.Setenv("PROGRAM", program)
			if dir, err := os.MkdirTemp("/dev/shm", "models-"); err == nil { //nolint:usetesting // it must be on another file system
				env.Setenv("ELSEWHERE", dir)
				env.Defer(func() { _ = os.RemoveAll(dir) })
			}
			peers, err := os.MkdirTemp("", "peers") //nolint:usetesting // the path of a socket must be short
			if err != nil {
				return err
			}
			env.Setenv("PEERS", peers)
			env.Defer(func() { _ = os.RemoveAll(peers) })
			return os.Mkdir(user, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "json": wantValue, "keep": keep, "fits": fits, "jsonrpc": wantMessages,
		},
	})
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(program, args[1:]...)
	code := "0"
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = fmt.Sprint(exit.ExitCode())
	} else {
		ts.Check(err)
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
	if slices.Contains(args, "--json") || slices.Contains(args, "call") && code != "2" && !slices.Contains(args, "__complete") {
		for line := range strings.Lines(ts.ReadFile("stdout")) {
			if !json.Valid([]byte(line)) {
				ts.Fatalf("stdout is not JSON: %s", line)
			}
		}
		if ts.ReadFile("stdout") == "" {
			ts.Fatalf("nothing on stdout")
		}
	}
}

// value returns what stands in a JSON file at a path such as files.0.cid.
func value(ts *testscript.TestScript, file, path string) string {
	var v any
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	dec.UseNumber()
	ts.Check(dec.Decode(&v))
	for step := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(at) {
				ts.Fatalf("no element %s of %s in %s", step, path, file)
			}
			v = at[i]
		default:
			ts.Fatalf("no %s of %s in %s", step, path, file)
		}
	}
	if text, ok := v.(string); ok {
		return text
	}
	data, err := json.Marshal(v)
	ts.Check(err)
	return string(data)
}

func wantValue(ts *testscript.TestScript, neg bool, args []string) {
	got := value(ts, args[0], args[1])
	if regexp.MustCompile(args[2]).MatchString(got) == neg {
		ts.Fatalf("%s is %s, want %s (not: %v)", args[1], got, args[2], neg)
	}
}

func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], value(ts, args[1], args[2]))
}

func fits(ts *testscript.TestScript, _ bool, args []string) {
	i := slices.Index(tools.Names(), args[0])
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(tools.All((*engine.Engine)(nil), nil)[i].Tool.RawOutputSchema))
	ts.Check(err)
	c := jsonschema.NewCompiler()
	ts.Check(c.AddResource("schema.json", schema))
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(c.MustCompile("schema.json").Validate(doc))
}

func wantMessages(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var m struct{ JSONRPC string }
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.JSONRPC != "2.0" {
			ts.Fatalf("no message: %s", line)
		}
	}
}
