package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"
)

func newMaker(t *testing.T) *maker {
	t.Helper()
	if _, ok := nodePlatforms[host]; !ok {
		t.Skipf("there is no bundle of %s yet", host)
	}
	return &maker{root: "../../..", version: command.Version, out: t.Output()}
}

// The bundle, unpacked, answers all five tools as its manifest starts it: with
// an empty home, no PATH, no other variable, in the root folder.
func TestBundle_answersAllTools(t *testing.T) {
	m := newMaker(t)
	out, dir := t.TempDir(), t.TempDir()
	tool := filepath.Join(t.TempDir(), "packaging") // a program of its own: the race detector makes packing slow
	runIn(t, m.root, "go", "build", "-o", tool, "./cmd/ipfs-accelerate/packaging")
	runIn(t, m.root, tool, "mcpb", "--once", "--dir", out)
	bundle := filepath.Join(out, "ipfs-accelerate-"+nodePlatforms[host]+".mcpb")
	if err := m.mcpb(t.Context(), "unpack", bundle, dir); err != nil {
		t.Fatal(err)
	}
	pictures := t.TempDir()
	picture := filepath.Join(pictures, "portrait.jpg")
	if err := spread(pictures, []entry{file("portrait.jpg", "../../../examples/pictures/grace_hopper.jpg")}); err != nil {
		t.Fatal(err)
	}
	findsHost(t, dir)
	home := t.TempDir()
	for range 2 { // the second time all is there already
		a := start(t, dir, home, map[string]any{"folders": []string{pictures}, "memory": 2})
		a.useAllTools(picture)
		a.resourcesAreDescribed()
		if err := a.session.Close(); err != nil {
			t.Error(err)
		}
	}
}

// findsHost checks that the program that is the host of peers is beside the
// server, and starts.
func findsHost(t *testing.T, dir string) {
	t.Helper()
	home, err := os.MkdirTemp("", "peers") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	cmd := exec.Command(filepath.Join(dir, "server", host.exe("ipfs-accelerate")), "--home", home, "--p2p-listen", "/ip4/127.0.0.1/tcp/0", "--json", "peers", "id")
	out, err := cmd.Output()
	var answer struct{ ID string }
	if err != nil || json.Unmarshal(out, &answer) != nil || !strings.HasPrefix(answer.ID, "12D3KooW") {
		t.Errorf("peers id: %v: %s", err, out)
	}
}

// Nothing that a user leaves alone is passed on as it stands in the manifest.
func TestBundle_worksWithoutSettings(t *testing.T) {
	m := newMaker(t)
	data, err := m.manifest("lib")
	if err != nil {
		t.Fatal(err)
	}
	args := configured(t, data, "/x", nil).Args
	if got := strings.Join(args, " "); got != "serve --add-models /x/models --hardware-memory-limit=0GB" {
		t.Errorf("arguments are %s", got)
	}
	serve, rest, err := command.Root().Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.ParseFlags(rest); err != nil {
		t.Error(err)
	}
}

// runIn runs a program in a folder.
func runIn(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// unpack unpacks a zip file.
func unpack(t *testing.T, bundle, dir string) {
	t.Helper()
	z, err := zip.OpenReader(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		dest := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := write(dest, r, f.Mode()); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}

// mcpConfig is how a manifest says that the server is started.
type mcpConfig struct {
	Command string
	Args    []string
	Env     map[string]string
}

// configured is mcp_config with its variables replaced by the rules of MCPB:
// an argument that is a setting of many values becomes as many arguments.
func configured(t *testing.T, manifest []byte, dir string, settings map[string]any) mcpConfig {
	t.Helper()
	var doc struct {
		Server struct {
			Config mcpConfig `json:"mcp_config"`
		}
		Settings map[string]struct{ Default any } `json:"user_config"`
	}
	if err := json.Unmarshal(manifest, &doc); err != nil {
		t.Fatal(err)
	}
	single, many := []string{"${__dirname}", dir}, map[string][]string{}
	for name, s := range doc.Settings {
		v, set := settings[name]
		if !set {
			v = s.Default
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		if json.Unmarshal(data, &list) == nil {
			many["${user_config."+name+"}"] = list
			continue
		}
		single = append(single, "${user_config."+name+"}", strings.Trim(string(data), `"`))
	}
	replace := strings.NewReplacer(single...).Replace
	c := mcpConfig{Command: replace(doc.Server.Config.Command), Env: map[string]string{}}
	for _, arg := range doc.Server.Config.Args {
		if list, ok := many[arg]; ok {
			c.Args = append(c.Args, list...)
			continue
		}
		c.Args = append(c.Args, replace(arg))
	}
	for k, v := range doc.Server.Config.Env {
		c.Env[k] = replace(v)
	}
	return c
}

type agent struct {
	t       *testing.T
	session *mcp.ClientSession
}

// start starts the unpacked bundle as a client does.
func start(t *testing.T, dir, home string, settings map[string]any) agent {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := configured(t, manifest, dir, settings)
	cmd := exec.Command(c.Command, c.Args...)
	cmd.Dir, cmd.Stderr = "/", t.Output()
	cmd.Env = []string{"HOME=" + home, "PATH="}
	for k, v := range c.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return agent{t, session}
}

// call calls a tool and reads its answer.
func (a agent) call(tool string, arguments map[string]any, v any) {
	a.t.Helper()
	res, err := a.session.CallTool(context.WithoutCancel(a.t.Context()), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		a.t.Fatalf("%s: %v", tool, err)
	}
	data, err := json.Marshal(res.StructuredContent)
	if err != nil {
		a.t.Fatal(err)
	}
	if res.IsError {
		a.t.Fatalf("%s: %s", tool, data)
	}
	if err := json.Unmarshal(data, v); err != nil {
		a.t.Fatalf("%s: %v in %s", tool, err, data)
	}
}

func (a agent) useAllTools(picture string) {
	a.t.Helper()
	var hardware struct {
		Platforms map[string]struct{ Available bool }
	}
	a.call("detect_hardware", nil, &hardware)
	if !hardware.Platforms["cpu"].Available {
		a.t.Errorf("the processor is not available: %+v", hardware)
	}
	var fetched struct{ Complete bool }
	a.call("fetch_model_cid", map[string]any{"model": "minilm"}, &fetched)
	if !fetched.Complete {
		a.t.Error("MiniLM is not there")
	}
	var texts struct{ Similarity [][]float64 }
	a.call("run_inference", map[string]any{
		"model": "minilm", "inputs": []string{"A fox jumps over a dog.", "A dog is jumped over by a fox.", "Interest rates rise."},
		"parameters": map[string]any{"similarity": true},
	}, &texts)
	if s := texts.Similarity; len(s) != 3 || s[0][1] < 0.7 || s[0][2] > 0.3 {
		a.t.Errorf("the sentences are alike by %v", s)
	}
	var faces struct {
		Outputs []struct {
			Label string
			Score float64
		}
	}
	a.call("run_inference", map[string]any{"model": "blazeface", "inputs": []string{picture}}, &faces)
	if f := faces.Outputs; len(f) != 1 || f[0].Label != "face" || f[0].Score < 0.9 {
		a.t.Errorf("found are %+v", f)
	}
	var measured struct{ Results []struct{ Iterations int } }
	a.call("run_benchmark", map[string]any{"model": "blazeface", "iterations": 20, "warmup": 1, "devices": []string{"cpu"}}, &measured)
	if len(measured.Results) != 1 {
		a.t.Errorf("measured is %+v", measured)
	}
	var asked struct{ Rows []map[string]any }
	a.call("query_results", map[string]any{"sql": "select count(*) as n from inferences"}, &asked)
	if len(asked.Rows) != 1 || asked.Rows[0]["n"].(float64) < 2 {
		a.t.Errorf("recorded are %v", asked.Rows)
	}
}

// resourcesAreDescribed checks that the page about resources names all.
func (a agent) resourcesAreDescribed() {
	a.t.Helper()
	page, err := os.ReadFile("../../../resources/docs/resources.md")
	if err != nil {
		a.t.Fatal(err)
	}
	var uris []string
	for r, err := range a.session.Resources(a.t.Context(), nil) {
		if err != nil {
			a.t.Fatal(err)
		}
		if !strings.HasPrefix(r.URI, "docs://") && !strings.HasPrefix(r.URI, "models://bafy") {
			uris = append(uris, r.URI)
		}
	}
	for r, err := range a.session.ResourceTemplates(a.t.Context(), nil) {
		if err != nil {
			a.t.Fatal(err)
		}
		uris = append(uris, r.URITemplate)
	}
	for _, uri := range uris {
		if !strings.Contains(string(page), "`"+uri+"`") {
			a.t.Errorf("%s is not described", uri)
		}
	}
}

// An archive depends on its files only, not on their order or when it is made.
func TestPack_isReproducible(t *testing.T) {
	entries := []entry{text("b/b.txt", []byte("b")), text("a.txt", []byte("a")), program("tool", "bundle_test.go")}
	for _, name := range []string{"x.zip", "x.tar.gz"} {
		first, second := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), name)
		if err := pack(first, entries); err != nil {
			t.Fatal(err)
		}
		if err := pack(second, []entry{entries[2], entries[0], entries[1]}); err != nil {
			t.Fatal(err)
		}
		a, errA := sum(first)
		b, errB := sum(second)
		if a != b || errA != nil || errB != nil {
			t.Errorf("%s: %s and %s, %v, %v", name, a, b, errA, errB)
		}
	}
	if err := pack(filepath.Join(t.TempDir(), "x.zip"), append(entries, entries[0])); err == nil {
		t.Error("two files of one name are packed")
	}
}

func TestPack_keepsModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := pack(path, []entry{text("plain", nil), program("tool", "bundle_test.go")}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, path, dir)
	for name, want := range map[string]fs.FileMode{"plain": 0o644, "tool": 0o755} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
