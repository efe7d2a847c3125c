package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agnivade/levenshtein"
)

// suggest is as good as the program's for a test.
func suggest(word string, valid []string) string {
	best, bound := "", 4
	for _, v := range valid {
		if d := levenshtein.ComputeDistance(word, v); d < bound {
			best, bound = v, d
		}
	}
	return best
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// folder is an absolute path on every system.
func folder() string {
	if runtime.GOOS == "windows" {
		return `C:\models`
	}
	return "/models"
}

// sample is a value that a key may have and has not by default, as text and as
// JSON.
func sample(k Key) (text, value string) {
	switch k.Name {
	case "hardware.precision":
		return "int8", `"int8"`
	case "logging.level":
		return "debug", `"debug"`
	case "logging.format":
		return "json", `"json"`
	case "logging.file":
		return folder(), quote(folder())
	case "server.auth":
		return "none", `"none"`
	case "server.transport":
		return "http,stdio", `["http","stdio"]`
	case "allow_paths":
		return folder(), "[" + quote(folder()) + "]"
	case "ipfs.gateway", "ipfs.local_node", "ipfs.hub_endpoint", "telemetry.otlp_endpoint":
		return "http://127.0.0.1:1", `"http://127.0.0.1:1"`
	}
	switch k.Kind {
	case Bool:
		if defaults()[k.Name][0] == 't' {
			return "false", "false"
		}
		return "true", "true"
	case Number:
		return "17", "17"
	case List:
		return "a,b", `["a","b"]`
	case Pairs:
		return "lab=http://127.0.0.1:1", `[{"name":"lab","url":"http://127.0.0.1:1"}]`
	case Bytes:
		return "7MiB", `"7MiB"`
	case Span:
		return "7s", `"7s"`
	}
	return "word", `"word"`
}

func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// nested is a file that sets one key, in its third line.
func nested(name, value string) string {
	parts := strings.Split(name, ".")
	out := quote(parts[len(parts)-1]) + ": " + value
	for i := len(parts) - 2; i >= 0; i-- {
		out = quote(parts[i]) + ": {" + out + "}"
	}
	return "{\n\n" + out + "\n}"
}

// Every key is documented and can be set at each level, which is then its
// origin; a project's file sets only what is harmless.
func TestKeys_everyLevel(t *testing.T) {
	page := Reference()
	for _, k := range Keys() {
		t.Run(k.Name, func(t *testing.T) {
			if len(k.Doc) < 10 || !strings.HasSuffix(k.Doc, ".") || !strings.Contains(page, "`"+k.Name+"`") {
				t.Errorf("documented as %q", k.Doc)
			}
			text, value := sample(k)
			dir := t.TempDir()
			project := Options{WorkDir: dir, Suggest: suggest}
			path := write(t, filepath.Join(dir, ProjectName), nested(k.Name, value))
			l := load(t, project)
			if k.Project {
				wantSetting(t, l, k, value, Origin{Level: ProjectFile, File: path, Line: 3})
			} else {
				wantRefused(t, l, k, path)
			}
			user := project
			user.Files = []string{write(t, filepath.Join(dir, "user", FileName), nested(k.Name, value))}
			wantSetting(t, load(t, user), k, value, Origin{Level: UserFile, File: user.Files[0], Line: 3})
			for _, name := range k.Envs {
				env := user
				env.Environ = []string{name + "=" + text}
				wantSetting(t, load(t, env), k, value, Origin{Level: Environment, Name: name})
			}
			v, err := k.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			flag := user
			flag.Environ, flag.Flags = []string{k.Envs[0] + "=" + text}, map[string]Given{k.Name: {"--" + k.Flags[0], v}}
			wantSetting(t, load(t, flag), k, value, Origin{Level: Flag, Name: "--" + k.Flags[0]})
		})
	}
}

func load(t *testing.T, o Options) *Loaded {
	t.Helper()
	l, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantSetting(t *testing.T, l *Loaded, k Key, value string, origin Origin) {
	t.Helper()
	for _, s := range l.Settings() {
		if s.Key != k.Name {
			if l.Project == "" && s.Origin.Level != Default {
				t.Errorf("%s is from %s", s.Key, s.Origin)
			}
			continue
		}
		if string(s.Value) != value || s.Origin != origin {
			t.Errorf("%s from %s; want %s from %s", s.Value, s.Origin, value, origin)
		}
	}
}

func wantRefused(t *testing.T, l *Loaded, k Key, path string) {
	t.Helper()
	if got := l.Origin(k.Name); got.Level != Default {
		t.Errorf("set from %s", got)
	}
	if len(l.Warnings) != 1 || l.Warnings[0].Key != k.Name || l.Warnings[0].Origin.File != path || l.Warnings[0].Origin.Line != 3 ||
		!strings.Contains(l.Warnings[0].String(), "may not set this") {
		t.Errorf("%+v", l.Warnings)
	}
}

// A wrong value of any key is refused at every level, with where it stands and
// what would be right.
func TestKeys_wrongValues(t *testing.T) {
	for _, k := range Keys() {
		t.Run(k.Name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), FileName), nested(k.Name, `{"x": []}`))
			wantProblem(t, Options{File: path, Suggest: suggest}, k.Name, path+":3: ")
			if k.Kind == Text && k.check("no such thing") == nil && !strings.Contains(string(schemaOf(t, k)), `"enum"`) {
				return // any text is right
			}
			if k.Kind == List && !strings.Contains(string(schemaOf(t, k)), `"enum"`) && k.check([]any{"x"}) == nil {
				return
			}
			wantProblem(t, Options{Environ: []string{k.Envs[0] + "=no such thing"}, Suggest: suggest}, k.Name, k.Envs[0]+": ")
		})
	}
}

func wantProblem(t *testing.T, o Options, key, place string) {
	t.Helper()
	_, err := Load(o)
	var wrong Error
	if !errors.As(err, &wrong) {
		t.Fatalf("it was taken: %v", err)
	}
	p := wrong.Problems[0]
	if !strings.HasPrefix(p.Key, key) || !strings.HasPrefix(p.String(), place) || len(p.Message) < 10 {
		t.Errorf("%s", p)
	}
}

// schemaOf is the part of the schema on a key.
func schemaOf(t *testing.T, k Key) json.RawMessage {
	t.Helper()
	at := json.RawMessage(Schema())
	for part := range strings.SplitSeq(k.Name, ".") {
		var s struct{ Properties map[string]json.RawMessage }
		if err := json.Unmarshal(at, &s); err != nil {
			t.Fatal(err)
		}
		at = s.Properties[part]
	}
	return at
}

func TestLoad_problems(t *testing.T) {
	for text, want := range map[string]string{
		`{"source":[]}`:                            `:1: source: there is no such key; did you mean "sources"?`,
		`{"cache_size":"1GB"}`:                     `cache_size: there is no such key; did you mean "performance.cache_size"?`,
		"{\n\"hardware\":{\n\"precison\":\"x\"}}":  `:3: hardware.precison: there is no such key; did you mean "hardware.precision"?`,
		`{"hardware":{"precision":"int9"}}`:        `hardware.precision: "int9" is none of auto, fp32, fp16, int8; did you mean "int8"?`,
		`{"hardware":{"memory_limit":"8XB"}}`:      `hardware.memory_limit: is neither a number nor text such as "8GB"`,
		`{"hardware":{"memory_limit":"99999PB"}}`:  `is no size`,
		`{"ipfs":{"timeout":"soon"}}`:              `ipfs.timeout: is neither a number nor text such as "30s"`,
		`{"ipfs":{"gateway":"ftp://x"}}`:           `ipfs.gateway: "ftp://x" is no URL; write http://HOST`,
		`{"ipfs":{"gateway":"http://u:pw@x"}}`:     `must not hold a password`,
		`{"sources":[{"name":"x","url":"gw"}]}`:    `sources: source 1: "x=gw" is not the URL of a gateway`,
		`{"sources":[{"name":"x"}]}`:               `sources.0: `,
		`{"allow_paths":["data"]}`:                 `allow_paths: "data" is no absolute path`,
		`{"performance":{"parallel_requests":-1}}`: `parallel_requests: `,
		`{"logging":{"level":"info","level":"x"}}`: `duplicate object member name`,
		`[]`:         `got array, want object`,
		"{\n\"a\":":  `:2: is not JSON`,
		"{\n\n}\n x": `:4: is not JSON`,
		"{\"hardware\":" + strings.Repeat("[", 100): `is nested deeper than`,
	} {
		path := write(t, filepath.Join(t.TempDir(), FileName), text)
		_, err := Load(Options{Files: []string{path}, Suggest: suggest})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pw") || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
}

func TestLoad_yaml(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "config.yaml"), "# mine\nhardware:\n  precision: int8\nipfs:\n  timeout: 5\nmodels: [a, b]\n")
	l := load(t, Options{Files: []string{"nowhere", path}})
	if l.Hardware.Precision != "int8" || l.IPFS.Timeout != Duration(5e9) || len(l.Models) != 2 || l.Origin("ipfs.timeout").Line != 5 || l.User != path {
		t.Errorf("%+v", l)
	}
	for text, want := range map[string]string{
		"hardware:\n  precison: x\n":    `:2: hardware.precison: there is no such key; did you mean "hardware.precision"?`,
		"models: &a [x]\nsources: *a":   `:2: aliases are not allowed`,
		"models: [a]\nmodels: [b]":      `models`,
		"models: [":                     `is not YAML`,
		"logging:\n  level: 2026-01-01": `:2: logging.level: `,
	} {
		_, err := Load(Options{File: write(t, path, text), Suggest: suggest})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
}

// The file that comes with a stranger's repository.
func TestLoad_hostileProject(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, ProjectName), `{
"native": "/tmp/evil", "ort_lib": "/tmp/evil.so",
"allow_paths": ["/"], "sources": [{"name":"evil","url":"http://evil.example"}],
"ipfs": {"gateway": "http://evil.example", "local_node": "http://evil.example", "hub_endpoint": "http://evil.example", "timeout": 1},
"server": {"transport": ["http"], "listen": "0.0.0.0:1", "auth": "none", "insecure_plaintext": true, "tls_key": "/etc/shadow", "limits": {"body": "1TB"}},
"logging": {"file": "/root/.bashrc", "level": "debug"}, "telemetry": {"otlp_endpoint": "http://evil.example"},
"hardware": {"memory_limit": 1, "prefer_cuda": true, "precision": "none"},
"performance": {"cache_size": "1MiB", "parallel_requests": 100000},
"models": ["mini"], "toString": 1, "__proto__": {}
}`)
	l := load(t, Options{WorkDir: dir, Suggest: suggest})
	refused := map[string]bool{}
	for _, w := range l.Warnings {
		refused[w.Key] = true
		if w.Origin.File != path || w.Origin.Line == 0 {
			t.Errorf("%s has no place", w)
		}
	}
	for _, k := range Keys() {
		set := l.Origin(k.Name).Level != Default
		if want := k.Name == "hardware.prefer_cuda" || k.Name == "performance.cache_size" || k.Name == "models"; set != want {
			t.Errorf("%s set: %v", k.Name, set)
		}
	}
	for name := range strings.FieldsSeq(`native ort_lib allow_paths sources ipfs.gateway ipfs.local_node ipfs.hub_endpoint ipfs.timeout server.transport server.listen server.auth
		server.insecure_plaintext server.tls_key server.limits.body logging.file logging.level telemetry.otlp_endpoint hardware.memory_limit
		hardware.precision performance.parallel_requests toString __proto__`) {
		if !refused[name] {
			t.Errorf("%s was not named", name)
		}
	}
}

// Whatever the project's file is, the program works.
func TestLoad_brokenProject(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "{", "deep": strings.Repeat("[", 1<<16), "no object": "1", "empty": "", "large": strings.Repeat(" ", maxFile+1), "binary": "\x00\xff",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, ProjectName), text)
		if l := load(t, Options{WorkDir: dir, Suggest: suggest}); len(l.Warnings) == 0 {
			t.Errorf("%s: no warning", name)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ProjectName), 0o700); err != nil {
		t.Fatal(err)
	}
	if l := load(t, Options{WorkDir: dir}); len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0].Message, "regular file") {
		t.Errorf("%+v", l.Warnings)
	}
}

func TestLoad_unknownVariable(t *testing.T) {
	l := load(t, Options{Environ: []string{"IPFS_ACCELERATE_NATVE=x", "IPFS_ACCELERATE_HOME=x", "PATH=x", "IPFS_ACCELERATE_NATIVE="}, Suggest: suggest})
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0].String(), `did you mean "IPFS_ACCELERATE_NATIVE"?`) {
		t.Errorf("%v", l.Warnings)
	}
}

func TestLoad_missingFile(t *testing.T) {
	if _, err := Load(Options{File: filepath.Join(t.TempDir(), "nowhere.json")}); err == nil {
		t.Error("a file that was named may be missing")
	}
	if l := load(t, Options{Files: []string{"nowhere.json"}}); l.User != "" {
		t.Error(l.User)
	}
}

func TestPublic_hidesSecrets(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	path := write(t, filepath.Join(home, FileName), `{"sources":[{"name":"a","url":"http://gw.example/x?token=hunter2"}],"allow_paths":[`+quote(filepath.Join(home, "models"))+`]}`)
	l := load(t, Options{File: path})
	data, err := json.Marshal(l.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", filepath.Base(home)} {
		if strings.Contains(string(data), secret) {
			t.Errorf("%s in %s", secret, data)
		}
	}
	if l.Sources[0].URL != "http://gw.example/x?token=hunter2" || !strings.Contains(string(data), "xxxxx") {
		t.Errorf("%+v: %s", l.Sources, data)
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{`"8GB"`: 8e9, `"8 GiB"`: 8 << 30, `"512MiB"`: 512 << 20, `1024`: 1024, `"0"`: 0, `"1.5kB"`: 1500} {
		var s, again Size
		if err := json.Unmarshal([]byte(in), &s); err != nil || s != want {
			t.Errorf("%s is %d, %v", in, s, err)
		}
		out, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(out, &again)
		}
		if err != nil || again != s {
			t.Errorf("%s is written %s: %v", in, out, err)
		}
	}
}

func TestParseSource(t *testing.T) {
	for in, want := range map[string]Source{
		"http://127.0.0.1:8080":       {"127.0.0.1:8080", "http://127.0.0.1:8080"},
		"lab=https://gw.example/x":    {"lab", "https://gw.example/x"},
		"https://gw.example/ipfs?a=b": {"gw.example", "https://gw.example/ipfs?a=b"},
	} {
		got, err := ParseSource(in)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "gw.example", "ftp://gw.example", "lab=", "http://", "https://u:secret@gw.example"} {
		if got, err := ParseSource(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestHome_environmentFirst(t *testing.T) {
	t.Setenv(EnvHome, "/somewhere")
	if Home() != "/somewhere" {
		t.Error(Home())
	}
	t.Setenv(EnvHome, "")
	if !strings.HasSuffix(Home(), "ipfs-accelerate") {
		t.Error(Home())
	}
}
