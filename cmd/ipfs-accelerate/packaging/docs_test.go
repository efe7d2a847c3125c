package main

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/command"
)

// pages are the documents that users read, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../../resources/docs/*.md")
	if err != nil || len(names) < 8 {
		t.Fatalf("pages are %v, %v", names, err)
	}
	own, err := filepath.Glob("../../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range append(append(names, own...), "BUNDLE.md", "../../../examples/README.md") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(data)
	}
	return out
}

var (
	linkPattern  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fencePattern = regexp.MustCompile("(?s)```([a-z]*)\n(.*?)```")
	wordPattern  = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
)

func TestDocs_linksLead(t *testing.T) {
	count := 0
	for page, text := range pages(t) {
		for _, m := range linkPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(text, ""), -1) {
			u, err := url.Parse(m[1])
			if err != nil || u.IsAbs() {
				if err != nil {
					t.Errorf("%s: %v", page, err)
				}
				continue
			}
			count++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), u.Path)); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d links were found", count)
	}
}

// Every command in the documents is one that the program takes.
func TestDocs_commandsAreTaken(t *testing.T) {
	count := 0
	for page, text := range pages(t) {
		for _, m := range fencePattern.FindAllStringSubmatch(text, -1) {
			if m[1] != "console" && m[1] != "sh" {
				continue
			}
			for line := range strings.Lines(m[2]) {
				if args, ok := invocation(line); ok {
					count++
					taken(t, page, args)
				}
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d commands were found", count)
	}
}

// invocation is the program's arguments in a line of shell, if it is called
// there.
func invocation(line string) ([]string, bool) {
	line, _, _ = strings.Cut(line, "   #")
	words := wordPattern.FindAllString(line, -1)
	for i, w := range words {
		words[i] = strings.Trim(w, `'"`)
	}
	last := -1
	for i, w := range words {
		if strings.TrimPrefix(w, "bin/") == "ipfs-accelerate" {
			last = i
		}
	}
	if last < 0 || strings.Contains(line, " --cli ") || strings.HasPrefix(line, "docker") {
		return nil, false
	}
	return words[last+1:], true
}

// taken checks that the program takes these arguments. It runs nothing.
func taken(t *testing.T, page string, args []string) {
	t.Helper()
	cmd, rest, err := command.Root().Find(args)
	if err != nil {
		t.Errorf("%s: %v: %v", page, args, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %v: %v", page, args, err)
		return
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("%s: %v: %v", page, args, err)
	}
	if !cmd.HasParent() {
		t.Errorf("%s: %v is no command", page, args)
	}
}

// A launch is how a client is told to start the server.
type launch struct {
	Command string
	Args    []string
}

// Every piece of JSON is valid, and starts the server with arguments that it
// takes.
func TestDocs_settingsOfClientsStartTheServer(t *testing.T) {
	count := 0
	for page, text := range pages(t) {
		for _, m := range fencePattern.FindAllStringSubmatch(text, -1) {
			if m[1] != "json" {
				continue
			}
			var doc struct {
				Desktop map[string]launch `json:"mcpServers"`
				Code    map[string]launch `json:"servers"`
				Zed     map[string]launch `json:"context_servers"`
			}
			if err := json.Unmarshal([]byte(m[2]), &doc); err != nil {
				t.Errorf("%s: %v in %s", page, err, m[2])
				continue
			}
			for _, servers := range []map[string]launch{doc.Desktop, doc.Code, doc.Zed} {
				for _, s := range servers {
					count++
					starts(t, page, s)
				}
			}
		}
	}
	if count < 6 {
		t.Errorf("only %d settings were found", count)
	}
}

func starts(t *testing.T, page string, l launch) {
	t.Helper()
	if filepath.Base(l.Command) != "ipfs-accelerate" || len(l.Args) == 0 || l.Args[0] != "serve" {
		t.Errorf("%s: %+v does not start the server", page, l)
		return
	}
	taken(t, page, l.Args)
}

// The links that install the server in a client hold what they should.
func TestDocs_installLinksStartTheServer(t *testing.T) {
	count := 0
	for page, text := range pages(t) {
		for _, m := range linkPattern.FindAllStringSubmatch(text, -1) {
			u, err := url.Parse(m[1])
			if err != nil || !u.Query().Has("config") {
				continue
			}
			config := []byte(u.Query().Get("config"))
			if strings.HasPrefix(u.Host, "cursor") {
				if config, err = base64.StdEncoding.DecodeString(string(config)); err != nil {
					t.Errorf("%s: %v", page, err)
				}
			}
			var l launch
			if err := json.Unmarshal(config, &l); err != nil {
				t.Errorf("%s: %v in %s", page, err, config)
				continue
			}
			count++
			starts(t, page, l)
		}
	}
	if count != 4 {
		t.Errorf("%d links were found", count)
	}
}
